"""Bytes that a user chose, on the terminal of whoever types dmctl: himself, who manages him, root."""
import os
import pty
import re
import subprocess

import world
from terminal import Terminal

# A title, a cleared screen, an answerback; C1 as UTF-8 and as a bare byte; bidi overrides, isolates and marks; line ends of
# every kind; a character that is cut short. No NUL, which no name or line can hold.
NASTY = (b'\x1b]0;owned\x07\x1b[2J\x05\x08\x0b\x0c\x0e\x7f' + '\u009b31m\u0085\u0090'.encode() + b'\x9b32m\x85' +
         '\u202e\u202a\u2066\u2069\u200e\u200f\u061c\u2028\u2029'.encode() + b'\xe2\x80')
LOUD = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]')
CONFIG = '[runs_as]\ndavid: www-data\namy\n[manages]\nhelpdesk: david\n'
READERS = ('david', 'helpdesk', 'root')


def _typed(w, user, *arguments, until=None):
    """What `dmctl` writes to the terminal of `user`; `until`: dmctl is ended when it has said this."""
    master, terminal = pty.openpty()
    command = subprocess.Popen([world.DMCTL, *arguments], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, cwd='/',
                               env={'PATH': world.PATH, 'HOME': w.home(user), 'TERM': 'xterm', 'LANG': 'C.UTF-8', 'NO_COLOR': '1'}, **w.ids(user))
    os.close(terminal)
    said = b''
    try:
        while part := os.read(master, 65536):
            said += part
            if until is not None and until in said:
                command.kill()
    except OSError:  # the last who had it open is gone
        pass
    finally:
        os.close(master)
    assert command.wait(20) in ((-9,) if until is not None else range(8)), said
    # The terminal itself makes \r\n of \n.
    return said.decode(errors='surrogateescape').replace('\r\n', '\n')


def _quiet(said):
    """Nothing that a terminal acts on, or that makes text look like other text."""
    assert not LOUD.search(said), (LOUD.search(said), said)
    return said


def _unfolded(said):
    """Without the line ends that are there for the terminal's width."""
    return re.sub('\n  +', ' ', said)


def _conf(w, name, text):
    path = w.conf('david', name, '')
    with open(path, 'wb') as out:
        out.write(text)


def _shown(w, *words):
    """status of everybody who may see david's daemons is quiet, and says the words."""
    for user in READERS:
        said = _quiet(_typed(w, user, 'status'))
        assert '\\x1b]0;owned\\x07' in said and '\\xe2\\x80\\xae' in said, said
        assert all(word in said for word in words), said


def names_of_confs(w):
    """File names of confs with ESC, C1, bidi and newlines reach a terminal only escaped, and forge no line of their own. Claim:
    terminal-safe."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    folder = os.path.dirname(w.conf_path('david', 'web')).encode()
    for name in (NASTY, b'x\namy: stopped by root', b'x\r\x1b[Aamy', b'\xff\xfe'):
        with open(folder + b'/' + name + b'.conf', 'w') as out:
            out.write('dir=/\nstart=sleep 1002\n')
        os.chown(folder + b'/' + name + b'.conf', 1000, 1000)
    w.start(CONFIG)
    w.up('david/web')
    for user in READERS:
        for arguments in (('status',), ('rescan', '-u', 'david')):
            said = _quiet(_typed(w, user, *arguments))
            assert _unfolded(said).count('no name for a daemon') >= 4 and '/?]0;owned?' in said, said
            assert not re.search(r'^\s*amy: stopped', said, re.M), said
    assert not w.find('sleep 1002')


def what_confs_say(w):
    """Values, keys, names of exports, commands and directories with such bytes reach a terminal only escaped, in status, start and
    restart. Claim: terminal-safe."""
    lines = {'key': NASTY + b'key=1', 'value': b'umask=' + NASTY, 'user': b'user=' + NASTY, 'host': b'host=' + NASTY,
             'export': b'export ' + NASTY + b'=1', 'word': NASTY, 'signal': b'stop_signal=' + NASTY}
    for name, line in lines.items():
        _conf(w, name, b'dir=/\nstart=sleep 1001\n' + line + b'\n')
    _conf(w, 'start', b'dir=/\nstart=/srv/no' + NASTY + b'such\n')
    _conf(w, 'dir', b'dir=/no' + NASTY + b'such\nstart=sleep 1001\n')
    w.start(CONFIG)
    w.wait_note('david/start', 'david/dir', 'david/user')
    _shown(w, *(f'david/{name}: ' for name in lines))
    for user in READERS:
        for verb in ('start', 'restart', 'stop', 'kill', 'pid', 'list', 'rescan'):
            arguments = {'list': (verb,), 'rescan': (verb, '-u', 'david')}.get(verb, (verb, 'david/start', 'david/dir', 'david/user'))
            _quiet(_typed(w, user, *arguments))
    assert 'cannot enter /no\\x1b]0;owned' in _unfolded(_typed(w, 'helpdesk', 'start', 'david/dir'))


def values_of_exports(w):
    """Values of exports with such bytes reach the daemon as they are, and no terminal at all. Claims: terminal-safe,
    exports-hidden."""
    _conf(w, 'web', b'dir=/\nexport NAME=SECRET' + NASTY + b'\nstart=sleep 1001\n')
    w.start(CONFIG)
    with open(f'/proc/{w.up("david/web")}/environ', 'rb') as environ:
        assert b'\0NAME=SECRET' + NASTY + b'\0' in b'\0' + environ.read()
    for user in READERS:
        for arguments in (('status',), ('status', 'david/web'), ('rescan', '-u', 'david'), ('restart', 'david/web')):
            assert 'SECRET' not in _quiet(_typed(w, user, *arguments))


def what_a_daemon_prints(w):
    """What a daemon prints, its last words too, reaches the terminal of who reads its log only escaped, though a character be cut
    in two writes. Claim: terminal-safe."""
    w.script('/srv/loud', '#!/usr/bin/python3\nimport os, time\nnasty = ' + repr(NASTY) + '\n'
                          'os.write(1, nasty + b"\\nforged\\r2000-01-01 line\\n\\xc2")\ntime.sleep(0.2)\n'
                          'os.write(1, b"\\x9b31m the end\\n")\nopen("/tmp/said", "w")\n'
                          'while not os.path.exists("/tmp/go"):\n    time.sleep(0.01)\nos.write(2, nasty + b"last words")\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=exec /srv/loud\n')
    w.start(CONFIG)
    w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/said'), 'it has printed')
    for user in ('david', 'root'):
        said = _quiet(_typed(w, user, 'log', 'david/web', '-f', until=b'the end'))
        assert '\\x1b]0;owned' in said and '\\xc2\\x9b31m' in said and 'forged\\x0d2000' in said, said
        assert '\\xc2\\x9b31m' in _quiet(_typed(w, user, 'tail', 'david/web', '--no-follow'))
    world.write('/tmp/go', '')
    w.wait_state('david/web', 'cooldown')
    for user in READERS:
        _quiet(_typed(w, user, 'status'))
    world.wait_for(lambda: 'last words' in _quiet(_typed(w, 'david', 'log', 'web', '--no-pager')), 'its last words')


def what_was_typed(w):
    """What stands on dmctl's own command line, pasted from anywhere, reaches the terminal only escaped, whatever is wrong with it.
    Claim: terminal-safe."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start(CONFIG)
    w.up('david/web')
    for arguments in ([NASTY], ['stop', NASTY], ['stop', b'david/' + NASTY], ['stop', NASTY + b'/web'], [NASTY, 'web'],
                      ['help', NASTY], ['-u', NASTY, 'status'], ['--' + 'x', NASTY], [b'--' + NASTY], [b'-' + NASTY],
                      ['kill', NASTY, 'web'], ['kill', b'-' + NASTY, 'web'], ['kill', '-s', NASTY, 'web'], ['log', 'web', '-n', NASTY],
                      ['log', NASTY], ['rescan', NASTY], ['version', NASTY]):
        _quiet(_typed(w, 'david', *arguments))
    assert '\\x1b]0;owned' in _typed(w, 'david', 'stop', NASTY)


def names_of_users(w):
    """Names of users as a name service may give them, with bidi characters, reach a terminal only escaped. Claim: terminal-safe."""
    os.mkdir('/home/zoe')
    os.chown('/home/zoe', 1010, 1010)
    for path, line in (('/etc/passwd', 'zo\u202ee:x:1010:1010::/home/zoe:/bin/sh\n'), ('/etc/group', 'zo\u202ee:x:1010:\n')):
        with open(path, 'a') as out:
            out.write(line)
    w.conf('zo\u202ee', 'web', 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    w.conf('zo\u202ee', 'own', 'dir=/\nstart=sleep 1002\n')
    w.start('[runs_as]\nzo\u202ee\n')
    world.wait_for(lambda: w.find('sleep 1002'), 'it runs')
    for arguments in (('status',), ('list',), ('stop', 'all'), ('status', 'zo\u202ee/own'), ('status', '-u', 'zo\u202ee')):
        assert 'zo\\xe2\\x80\\xaee/own' in _quiet(_typed(w, 'root', *arguments))


def what_pages_and_top_show(w):
    """Command lines and names of processes, what is in a log and in start=, reach the terminal of who looks at a page or at top only
    escaped; what is written there beside is dmctl's own. Claim: terminal-safe."""
    title = b'\x1b]0;owned\x07\x1b[2J\xc2\x9b31m'
    _conf(w, 'liar', b'dir=/\noutput=log\nready=notify\nstart=exec /tmp/liar \'' + title.replace(b'\x07', b'') + b'\'\n')
    w.script('/tmp/liar', '#!/usr/bin/python3\nimport ctypes, os, socket, time\ntitle = b"' + ''.join(f'\\x{byte:02x}' for byte in title) + '"\n'
             'ctypes.CDLL(None).prctl(15, title)\nos.write(1, title + b"\\n")\n'
             'socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1\\nSTATUS=" + title, os.environ["NOTIFY_SOCKET"])\n'
             'if os.fork() == 0:\n    os.execv("/bin/sleep", [title, "8001"])\ntime.sleep(8002)\n')
    w.start(CONFIG)
    w.up('david/liar')
    world.wait_for(lambda: 'owned' in w.dmctl('david', 'status', '-l', 'liar').out.split('log: ')[-1], 'it has spoken')
    for user in READERS:
        said = _quiet(_typed(w, user, 'status', 'david/liar'))
        note, log = said.index('note: '), said.index('log: ')
        assert note < said.index('\\x1b]0;owned\\x07') and said.index('\\x1b[2J', log) and '\\xc2\\x9b31m' in said, said
        assert 'owned\\x07\\x1b[2J' in said[said.index('processes: '):log], said
        _quiet(_typed(w, user, 'status', '-l'))
        own = re.compile('\x1b(\\[[0-9;]*m|\\[\\?(1049|25|7)[hl]|\\[[0-9;]*H|\\[2[JK])')
        coloured = _typed(w, user, 'status', '--color=always', 'david/liar')
        assert coloured != said and '\x1b[32mrunning\x1b[0m' in coloured
        _quiet(re.sub('\x1b\\[[0-9;]*m', '', coloured))
        run = Terminal(w, user, world.DMCTL, 'top', 'david/liar', '--interval=0.2')
        _quiet(own.sub('', run.expect('owned\\x07').expect('q quit').type('q').ends(0)))
