"""What %n, %u and %h in a conf stand for, and path=."""
import world


def signs(w):
    """%n, %u and %h are the daemon, its owner and his home, also where it runs as another; path= is where programs are looked for;
    messages show what they stand for."""
    w.folder('/home/david/site/bin', 'david', 0o755)
    w.run('david', 'chmod', '711', '/home/david')
    w.script('/home/david/site/bin/serve', '#!/bin/sh\necho "$0 $1 $WHERE $PATH $(pwd)" > /tmp/said.$1\nexec sleep 1001\n', 'david')
    w.conf('david', 'web', 'user=www-data\ndir=%h/site\npath=%h/site/bin:/usr/bin:/bin\nstart=serve %n-%u\nexport WHERE=%h/data/%n%%\n')
    w.conf('david', 'lost', 'dir=%h/%n\nstart=sleep 1002\n')
    w.start()
    pid = w.up('david/web')
    assert w.status_of(pid)['Uid'].split() == ['33'] * 4
    said = world.wait_for(lambda: w.run('root', 'cat', '/tmp/said.web-david').out, 'it has said')
    path = '/home/david/site/bin:/usr/bin:/bin'
    assert said == f'/home/david/site/bin/serve web-david /home/david/data/web% {path} /home/david/site\n', said
    w.wait_note('cannot enter /home/david/lost')
    for line, expected in {'path=bin:/bin': 'absolute paths', 'path=': 'found nothing', 'dir=%n/x': 'absolute path'}.items():
        w.conf('david', 'bad', f'start=sleep 1003\n{line}\n' + ('' if line.startswith('dir') else 'dir=/\n'))
        w.dmctl('david', 'rescan').exits(1).says(f'bad.conf:2:{line.index("=") + 2}: found', expected)
