"""dmctl edit: a conf in an editor, judged before it counts, put in its place at once."""
import os
import signal
import stat

import world
from terminal import Terminal

FOLDER = '/home/david/.daemon-manager/daemons'
GOOD = 'dir=/\nstart=sleep 1001\n'
BETTER = 'dir=/\nstart=sleep 1002\n'
BAD = 'dir=/\nstart=sleep 1002\nstop_timeout=ten\nexport TOKEN=geheim\nexport PIN geheim\n'


def _editor(w, *texts):
    """An editor that puts these texts into the file, one each time that it is called, as one that renames does."""
    for number, text in enumerate(texts):
        world.write(f'/tmp/text.{number}', text)
    w.script('/srv/editor', '#!/bin/sh\nset -e\nn=$(ls /tmp | grep -c "^called" || :)\ntouch /tmp/called.$n\ncp "$1" /tmp/was.$n\n'
                            'cp /tmp/text.$n "$1.new"\nmv "$1.new" "$1"\n')
    for left in ([name for name in os.listdir('/tmp') if name.startswith(('called', 'was'))]):
        os.unlink('/tmp/' + left)


def _text(path=FOLDER + '/web.conf'):
    with open(path) as conf:
        return conf.read()


def _edit(w, *arguments, **environment):
    return Terminal(w, 'david', world.DMCTL, 'edit', *(arguments or ('web',)), **{'VISUAL': '/srv/editor', **environment})


def _nothing_left():
    assert sorted(os.listdir('/home/david/.daemon-manager')) in (['command.sock', 'daemons'], ['command.sock', 'daemons', 'logs'], ['daemons']), \
        os.listdir('/home/david/.daemon-manager')
    assert os.listdir(FOLDER) == ['web.conf']


def of_several(w):
    """The id of one of several daemons of a conf means the conf, for edit, check and cat alike, with a manager and without."""
    w.conf('david', 'web', GOOD + 'instances=2\n')
    w.dmctl('david', 'check', 'web:1', 'david/web:2').exits(0).says('web: ok')
    assert w.dmctl('david', 'cat', 'web:1').exits(0).out == GOOD + 'instances=2\n'
    w.start()
    _editor(w, BETTER + 'instances=2\n')
    _edit(w, 'web:1').answer('restart it now? [y/N] ', '\n').ends(0)
    assert _text() == BETTER + 'instances=2\n'
    for word, hint in (('wbe:1', 'dmctl new wbe makes one'), ('david/wbe', 'dmctl new wbe makes one'), ('web:x', 'dmctl list shows')):
        w.dmctl('david', 'check', word).exits(5)
        w.dmctl('david', 'edit', word).exits(5).says(hint)
    _nothing_left()


def good_text(w):
    """A good text takes the conf's place at once, with its mode and group; one that runs is restarted at a yes alone, one that does not
    is read again."""
    path = w.conf('david', 'web', GOOD, mode=0o640)
    os.chown(path, 1000, 2001)
    w.start()
    w.up('david/web')
    _editor(w, BETTER)
    _edit(w).answer('restart it now? [y/N] ', '\n').expect('it runs on as it was; dmctl restart web').ends(0)
    assert _text() == BETTER and _text('/tmp/was.0') == GOOD
    info = os.stat(path)
    assert stat.S_IMODE(info.st_mode) == 0o640 and (info.st_uid, info.st_gid) == (1000, 2001), info
    assert w.find('sleep 1001') and not w.find('sleep 1002')
    _editor(w, GOOD)
    _edit(w).answer('restart it now? [y/N] ', 'y\n').expect('david/web').ends(0)
    _editor(w, BETTER)
    _edit(w, '--yes', 'david/web').ends(0)
    w.gone('sleep 1001')
    assert w.find('sleep 1002')
    w.dmctl('david', 'stop', 'web').exits(0)
    _editor(w, GOOD)
    _edit(w).expect('saved ' + path).ends(0)
    assert w.row('david/web').state == 'stopped' and _text() == GOOD
    _nothing_left()


def faults_are_shown(w):
    """A text with a fault is shown with the place, and edited again, dropped, or saved anyhow; values of exports are not shown."""
    path = w.conf('david', 'web', GOOD)
    w.start()
    pid = w.up('david/web')
    _editor(w, BAD, BETTER)
    t = _edit(w).expect(f'{path}:3:14: found').expect('   3 | stop_timeout=ten\n       |              ^').expect(':5:8: ')
    t.answer('save anyhow? [E/b/s] ', 'x\n').answer('[E/b/s] ', 'e\n').answer('[y/N] ', 'n\n')
    assert 'geheim' not in t.ends(0)
    assert _text('/tmp/was.1') == BAD and _text() == BETTER
    for word in ('b\n', '\x04', '\x03'):
        _editor(w, BAD)
        _edit(w).answer('[E/b/s] ', word).expect('is as it was').ends(1)
        assert _text() == BETTER
        _nothing_left()
    _editor(w, BAD)
    _edit(w).answer('[E/b/s] ', 's\n').expect('saved').expect('it has a fault').ends(1)
    assert _text() == BAD and w.up('david/web') == pid
    _nothing_left()


def nothing_changed(w):
    """An editor that changes nothing changes nothing, and edit says so; the file is not even replaced."""
    path = w.conf('david', 'web', GOOD)
    _editor(w, GOOD)
    inode = os.stat(path).st_ino
    _edit(w).expect('no change').ends(0)
    assert os.stat(path).st_ino == inode
    _nothing_left()


def editor_that_fails(w):
    """Ctrl-C in the editor, an exit code of its own, and one that is not there leave the old conf."""
    w.conf('david', 'web', GOOD)
    w.script('/srv/slow', '#!/bin/sh\necho started >>"$1"\necho started\nexec sleep 1003\n')
    t = _edit(w, VISUAL='/srv/slow')
    t.answer('started\n', '\x03').expect('the editor was ended by SIGINT').expect('as it was').ends(1)
    assert not w.find('sleep 1003')
    w.script('/srv/fails', '#!/bin/sh\necho changed >>"$1"\nexit 3\n')
    _edit(w, VISUAL='/srv/fails').expect('exit code 3').expect('is as it was').ends(1)
    _edit(w, VISUAL='/srv/nosuch').expect('is not there').ends(1)
    assert _text() == GOOD
    _nothing_left()


def which_editor(w):
    """VISUAL goes before EDITOR, and either may be several words; without them it is editor, or vi."""
    w.conf('david', 'web', GOOD)
    for name in ('one', 'two'):
        w.script('/srv/' + name, f'#!/bin/sh\necho "{name} $#:$1"\n')
    w.script('/srv/bin/editor', '#!/bin/sh\necho editor\n')
    w.script('/srv/vi/vi', '#!/bin/sh\necho it is vi\n')
    _edit(w, VISUAL='/srv/one', EDITOR='/srv/two').expect('one 1:/home/david/.daemon-manager/edit.').ends(0)
    _edit(w, VISUAL='', EDITOR='/srv/two --wait').expect('two 2:--wait').ends(0)
    _edit(w, VISUAL='', PATH='/srv/bin:/srv/vi').expect('editor\n').ends(0)
    _edit(w, VISUAL='', PATH='/srv/vi').expect('it is vi\n').ends(0)
    _edit(w, VISUAL='', PATH='/nowhere').expect('neither editor nor vi').ends(1)


def without_a_terminal(w):
    """Without a terminal nothing is asked: a good text is saved, one with a fault is not, and nothing is restarted without --yes."""
    w.conf('david', 'web', GOOD)
    w.start()
    pid = w.up('david/web')
    def edit(*more):
        return w.run('david', 'env', 'EDITOR=/srv/editor', world.DMCTL, 'edit', 'web', *more)
    _editor(w, BAD)
    told = edit().exits(1).says('is as it was', ':3:14: ')
    assert _text() == GOOD and 'geheim' not in told.text
    _editor(w, BETTER)
    edit().exits(0).says('saved', 'dmctl restart web')
    assert _text() == BETTER and w.up('david/web') == pid
    _editor(w, GOOD + '# the same\n')
    edit('--yes').exits(0)
    assert w.up('david/web') != pid


def changed_meanwhile(w):
    """A conf that somebody else changed while it was edited is not overwritten without a yes, and what was typed is kept."""
    path = w.conf('david', 'web', GOOD)
    w.script('/srv/both', f'#!/bin/sh\necho "# theirs" >>{path}\necho "# mine" >>"$1"\n')
    t = _edit(w, VISUAL='/srv/both').expect('was changed by somebody else').answer('[y/N] ', 'n\n').expect('your text is in ')
    kept = t.ends(1).split('your text is in ')[1].split()[0]
    assert _text() == GOOD + '# theirs\n' and _text(kept) == GOOD + '# mine\n'
    assert stat.S_IMODE(os.stat(os.path.dirname(kept)).st_mode) == 0o700 and stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    _edit(w, VISUAL='/srv/both').answer('[y/N] ', 'y\n').expect('saved ').ends(7)
    assert _text() == GOOD + '# theirs\n# mine\n'


def own_confs_only(w):
    """edit takes a conf of one's own that is there, and nobody else's."""
    w.conf('amy', 'web', GOOD)
    w.conf('david', 'other', GOOD)
    _editor(w, BETTER)
    for user, word, code, words in (('david', 'amy/web', 4, "one's own confs"), ('root', 'amy/web', 4, "one's own confs"), ('david', 'web', 5, 'dmctl new web'),
                                    ('david', '../x', 4, ''), ('david', 'x\x1b[2J', 5, 'there is no')):
        told = w.run(user, 'env', 'EDITOR=/srv/editor', world.DMCTL, 'edit', word).exits(code).says(words)
        assert '\x1b' not in told.text
    w.run('david', 'env', 'EDITOR=/srv/editor', world.DMCTL, 'edit', '-u', 'amy', 'web').exits(4)
    os.chmod(FOLDER + '/other.conf', 0o666)
    w.dmctl('david', 'edit', 'other').exits(1).says('others may write to it')
    assert not [name for name in os.listdir('/tmp') if name.startswith('called')]


def hung_up(w):
    """A terminal that goes away while the editor is open, or a SIGTERM, leaves the old conf, and no copy."""
    w.conf('david', 'web', GOOD)
    w.script('/srv/slow', '#!/bin/sh\necho "# more" >>"$1"\necho started\nexec sleep 1003\n')
    t = _edit(w, VISUAL='/srv/slow').expect('started')
    os.close(t.ours)
    assert t.running.wait(world.PATIENCE) == 1
    t = _edit(w, VISUAL='/srv/slow').expect('started')
    t.running.send_signal(signal.SIGTERM)
    t.expect('ended by SIGTERM').ends(1)
    assert _text() == GOOD and not w.find('sleep 1003')
    _nothing_left()
