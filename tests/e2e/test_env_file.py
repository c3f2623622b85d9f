"""env_file=: a daemon's environment out of a file of its owner's."""
import os

import attack
import world


def _env(w, text, mode=0o600, user=1000):
    world.write('/home/david/env', text, mode, user, user)


def _conf(w, more=''):
    w.conf('david', 'web', f'dir=/\nuser=www-data\nenv_file=%h/env\n{more}start=sleep 1001\n')


def variables(w):
    """The file's variables are in the daemon's environment, though it runs as another who may not read the file; the conf's exports
    win; a changed file is told by rescan, and counts from the next restart on."""
    _env(w, '# of the site\nPORT=8080\nexport NAME="a b"\nMODE=file\n')
    _conf(w, 'export MODE=conf\n')
    w.start()
    environ = attack.read(f'/proc/{w.up("david/web")}/environ').split('\0')
    assert {'PORT=8080', 'NAME=a b', 'MODE=conf'} <= set(environ), environ
    _env(w, 'PORT=9090\n')
    w.dmctl('david', 'rescan').exits(0).says('conf changed')
    w.dmctl('david', 'restart', 'web').exits(0)
    environ = attack.read(f'/proc/{w.up("david/web")}/environ').split('\0')
    assert 'PORT=9090' in environ and not [one for one in environ if one.startswith('NAME=')], environ


def refusals(w):
    """A file that is missing, another's, writable by others, no regular file, a link or holds a bad line keeps its daemon from
    starting, says which and why, and shows nothing of itself; mended, it starts."""
    _conf(w)
    w.conf('david', 'good', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('david/good')
    def says(*words):
        w.dmctl('david', 'rescan').exits(1).says('web.conf:3:10: the file that env_file= names', *words)
        assert w.row('david/web').state == 'stopped' and not w.find('sleep 1001')
    says('cannot be read: No such file')
    _env(w, 'A=1\n', 0o644, 1005)
    says('belongs to uid 1005', 'it must belong to david')
    _env(w, 'A=1\n', mode=0o620)
    says('may be written to by others (mode 0620)')
    _env(w, 'A=1\nsecret words\n')
    assert 'secret words' not in w.dmctl('david', 'rescan').exits(1).text
    says('in its line 2')
    os.unlink('/home/david/env')
    os.symlink('/etc/shadow', '/home/david/env')
    says('is a symbolic link')
    os.unlink('/home/david/env')
    os.mkfifo('/home/david/env')
    os.chown('/home/david/env', 1000, 1000)
    says('is no regular file')
    _env(w, 'A=1\n')
    w.dmctl('david', 'rescan').exits(0)
    w.up('david/web')
    w.conf('david', 'third', 'dir=/\nenv_file=env\nstart=sleep 1003\n')
    w.dmctl('david', 'rescan').exits(1).says('third.conf:2:10: found', 'an absolute path')
