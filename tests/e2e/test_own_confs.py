"""dmctl enable, disable and cat: conf files, changed and shown with the rights of who types it."""
import os
import stat

import world

SLEEPS = (('wp-blog', 1001), ('wp-shop', 1002), ('bot', 1003))


def _text(path):
    with open(path, newline='') as conf:
        return conf.read()


def _look(path):
    info = os.lstat(path)
    return oct(stat.S_IMODE(info.st_mode)), info.st_uid, info.st_gid


def enable_and_disable(w):
    """disable writes autostart=no into one's own conf and enable takes it back: mode, owner, group and all other bytes stay, the manager
    knows it, and its successor starts nothing that is disabled."""
    text = '# mine\r\ndir=/\nstart=sleep 1001\n\n# the end, without a newline'
    path = w.conf('david', 'bot', text, mode=0o640)
    os.chown(path, 1000, world.EXTRA_GROUPS['staff'])
    w.start()
    pid = w.up('david/bot')
    before = _look(path)
    w.dmctl('david', 'enable', 'bot').exits(0).says('david/bot: enabled already; it starts')
    assert _text(path) == text
    w.dmctl('david', 'disable', 'bot').exits(0).says('david/bot: disabled')
    assert _text(path) == text + '\nautostart=no\n' and _look(path) == before
    assert w.up('david/bot') == pid
    w.dmctl('david', 'disable', 'david/bot').exits(0).says('disabled already')
    assert w.stop() == 0
    w.start()
    assert w.row('david/bot').state == 'stopped'
    w.dmctl('david', 'bot', 'enable').exits(0)
    assert _text(path) == text + '\nautostart=yes\n' and _look(path) == before
    assert w.row('david/bot').state == 'stopped'
    assert w.stop() == 0
    w.start()
    w.up('david/bot')
    assert os.listdir(os.path.dirname(path)) == ['bot.conf']


def enable_several(w):
    """enable and disable take several ids, patterns and all; one that is nobody's is exit 5 with a guess, and the others are done."""
    w.up_sleepers(SLEEPS)
    w.dmctl('david', 'disable', 'wp-*', 'bto').exits(5).says('david/wp-blog: disabled', 'david/wp-shop: disabled', "did you mean 'bot'?")
    def disabled():
        return {name for name, _ in SLEEPS if 'autostart=no' in _text(w.conf_path('david', name))}
    assert disabled() == {'wp-blog', 'wp-shop'}
    w.dmctl('david', 'enable', 'all').exits(0)
    assert disabled() == set()
    w.dmctl('david', 'disable', 'x*').exits(5)
    w.conf('david', 'web', 'dir=/\ninstances=2\nstart=sleep 1004\n')
    w.dmctl('david', 'disable', 'web:1').exits(2).says('name the conf: web')
    w.dmctl('david', 'disable', 'web').exits(0)
    w.dmctl('david', 'enable').exits(2)


def enable_needs_no_sound_conf(w):
    """enable mends autostart= in a conf that no rescan has read yet; faults of other confs are told and change nothing of its exit code."""
    w.conf('david', 'other', 'start=sleep 1001\n')
    w.start()
    path = w.conf('david', 'fresh', 'dir=/\nautostart=maybe\nstart=sleep 1002\n')
    w.dmctl('david', 'enable', 'fresh').exits(0).says('other.conf', 'no dir')
    w.up('david/fresh')
    assert _text(path) == 'dir=/\nautostart=yes\nstart=sleep 1002\n'


def enable_without_a_manager(w):
    """Without a manager enable changes the conf and is exit 7."""
    path = w.conf('david', 'bot', 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'disable', 'bot').exits(7)
    assert _text(path).endswith('autostart=no\n')


def enable_refuses(w):
    """enable and disable refuse what is another's, a link, or writable for others, and change nothing."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'bot', 'dir=/\nstart=sleep 1001\n')
    w.start()
    w.up('amy/radio')
    for user in ('david', 'helpdesk', 'root'):
        for other in ('amy/radio', 'amy/nosuch'):
            w.dmctl(user, 'disable', other).exits(4)
    w.dmctl('david', 'disable', 'amy/radio').says('not permitted', "would be amy's", 'dmctl disable radio')
    w.dmctl('david', 'disable', '-u', 'amy', 'radio').exits(4)
    w.dmctl('root', 'disable', 'amy/radio').says('runuser -u amy')
    w.dmctl('helpdesk', 'disable', 'bot').exits(5).says('bot: there is no /home/helpdesk/.daemon-manager')
    assert _text(w.conf_path('amy', 'radio')) == 'dir=/\nstart=sleep 1002\n'
    outside = w.script('/home/david/elsewhere', 'dir=/\nstart=sleep 1003\n', 'david', 0o644)
    os.symlink(outside, w.conf_path('david', 'link'))
    w.conf('david', 'open', 'dir=/\nstart=sleep 1003\n', mode=0o666)
    amys = w.conf('david', 'foreign', 'dir=/\nstart=sleep 1003\n')
    os.chown(amys, 1001, 1001)
    for name in ('link', 'open', 'foreign'):
        w.dmctl('david', 'disable', name).exits(1).says(f'{name}.conf')
    assert os.path.islink(w.conf_path('david', 'link'))
    for path in (outside, w.conf_path('david', 'open'), amys):
        assert 'autostart' not in _text(path)


def cat(w):
    """cat prints one's own confs, byte for byte into a pipe, several with their paths; no manager is needed for one's own."""
    text = '# \x1b[2Jmine\r\ndir=/\nstart=sleep 1001\n# no newline'
    path = w.conf('david', 'bot', text)
    other = w.conf('david', 'web', 'dir=/\nstart=sleep 1002\n')
    assert w.run('david', 'sh', '-c', 'dmctl cat bot > /tmp/copy').exits(0).text == ''
    assert _text('/tmp/copy') == text
    w.dmctl('david', 'cat', 'web', 'bot').exits(0).says(f'# {path}\n', f'# {other}\n')
    w.dmctl('david', 'cat', 'nosuch').exits(7)
    w.start()
    w.up('david/bot')
    w.dmctl('david', 'cat', 'all').exits(0).says(f'# {path}\n', f'# {other}\n')
    w.dmctl('david', 'cat', 'nosuch').exits(5)
    os.unlink(path)
    w.dmctl('david', 'cat', 'b*').exits(5).says('its conf is gone')
    w.conf('david', 'bot', text)
    on_terminal = w.run('david', 'script', '-qec', 'dmctl cat bot', '/dev/null')
    assert '\x1b[2J' not in on_terminal.out and '\\x1b[2Jmine' in on_terminal.out, repr(on_terminal)


def cat_of_others(w):
    """cat prints another's conf to root alone; to whom manages him it says whose it is, to others what every verb says."""
    path = w.conf('david', 'bot', 'dir=/\nstart=sleep 1001\nexport TOKEN=secret\n')
    w.start()
    w.up('david/bot')
    assert w.dmctl('root', 'cat', 'david/bot').exits(0).out == _text(path)
    assert w.dmctl('root', 'cat', 'bot').exits(0).out == _text(path)
    answer = w.dmctl('helpdesk', 'cat', 'bot').exits(4).says("its conf is david's", path)
    assert 'secret' not in answer.text
    answer = w.dmctl('amy', 'cat', 'david/bot').exits(4).says('not permitted')
    assert path not in answer.text
    os.unlink(path)
    w.script('/root/secret', 'of root\n', 'root', 0o600)
    os.symlink('/root/secret', path)
    answer = w.dmctl('root', 'cat', 'david/bot').exits(1)
    assert 'of root' not in answer.text


def enabled_and_faulty(w):
    """enable of a conf that is enabled already tells its fault; one that was disabled while it had a fault stays so when it is mended."""
    w.start()
    bad = 'dir=/\nstop_timeout=ten\nstart=sleep 1001\n'
    path = w.conf('david', 'bad', bad)
    w.dmctl('david', 'rescan').exits(1)
    w.dmctl('david', 'enable', 'bad').exits(0).says('david/bad: enabled already;', f'{path}:2:14: found')
    w.dmctl('david', 'disable', 'bad').exits(0).says(f'{path}:2:14: found')
    said = w.dmctl('david', 'status', '-l', 'bad').out
    assert 'starts: by dmctl start only' in said and 'command: sleep 1001\n' in said, said
    w.conf('david', 'bad', bad.replace('ten', '10s') + 'autostart=no\n')
    w.dmctl('david', 'rescan').exits(0).says('david/bad', 'autostart=no')
    assert w.row('david/bad').state == 'stopped' and not w.find('sleep 1001')
    w.conf('david', 'worse', 'dir=/\n')
    w.dmctl('david', 'rescan').exits(1)
    said = w.dmctl('david', 'status', '-l', 'worse').out
    assert 'command: not known: its conf has a fault\n' in said, said
