"""Attacks on the files that output=file: names: whatever stands in their place, only a plain file of the owner's is written."""
import os
import pty
import signal
import socket

import attack
import world

FOLDER = '/home/david/log'
LOG = f'{FOLDER}/web.log'
WORD = 'printed-by-the-daemon'


def _prints(w, path=LOG):
    """The daemon prints far more than a FIFO holds and gets rid of it, and the log of another is written."""
    if os.path.exists('/tmp/printed'):
        os.unlink('/tmp/printed')
    w.conf('david', 'web', f'dir=/\noutput=file:{path}\nstart=yes {WORD} | head -n 20000; touch /tmp/printed; exec sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\noutput=log\nstart=echo music; exec sleep 1002\n')
    w.start()
    attack.life_goes_on(w)


def named_link(w):
    """A file of output= that is a symbolic link, or whose folder is one, to what is root's, the owner's, or writable for everybody, is
    not written through; nor is root, who shows it, led there. Claims: logs-through-no-link, logs-cost-their-owner, log-links."""
    w.script('/home/david/precious', 'precious\n', 'david', 0o600)
    w.script('/srv/everybodys', 'precious\n', 'amy', 0o666)
    victims = ('/etc/shadow', '/home/david/precious', '/srv/everybodys')
    before = [attack.state(victim) for victim in victims]
    w.folder(FOLDER, 'david', 0o700)
    for victim in victims:
        os.symlink(victim, LOG)
        _prints(w)
        assert os.readlink(LOG) == victim
        answer = w.dmctl('root', 'log', 'david/web')
        assert answer.code == 1 and 'precious\n' not in answer.out and ':*:' not in answer.out, repr(answer)
        w.stop()
        os.unlink(LOG)
    os.symlink('/etc', '/home/david/link')
    _prints(w, '/home/david/link/web.log')
    assert not os.path.lexists('/etc/web.log')
    assert [attack.state(victim) for victim in victims] == before


def named_other_thing(w):
    """A file of output= that is a FIFO, device, folder, socket, hard link, or another user's file gets no line and hangs nobody; nor do
    lines go to what it is linked with. Claims: logs-are-plain-files, logs-are-the-owners, logs-cost-their-owner."""
    precious = w.script('/home/david/precious', 'precious\n', 'david', 0o600)
    amys = w.script('/home/amy-wrote-this', 'precious\n', 'amy', 0o666)
    w.folder(FOLDER, 'david', 0o700)
    def fifo():
        os.mkfifo(LOG, 0o600)
    def folder():
        os.mkdir(LOG)
    def bound():
        socket.socket(socket.AF_UNIX).bind(LOG)
    def others():
        w.script(LOG, '', 'amy', 0o666)
    for make in (fifo, folder, bound, others, lambda: os.link(precious, LOG), lambda: os.link(amys, LOG)):
        make()
        if make in (fifo, folder, bound):
            os.chown(LOG, 1000, 1000)
        before = os.lstat(LOG)
        _prints(w)
        after = os.lstat(LOG)
        assert (after.st_mode, after.st_ino, after.st_size) == (before.st_mode, before.st_ino, before.st_size)
        assert not os.path.isdir(LOG) or os.listdir(LOG) == []
        assert w.dmctl('david', 'log', 'web').code == (0 if os.path.samefile(LOG, precious) else 1)
        w.stop()
        os.rmdir(LOG) if os.path.isdir(LOG) else os.unlink(LOG)
    assert attack.read(precious) == attack.read(amys) == 'precious\n'


def named_terminal(w):
    """A file of output= that is a device, here a terminal, gets no line and is nobody's terminal. Claims: logs-are-plain-files,
    no-terminal."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    os.chown(path, 1000, 1000)
    _prints(w, path)
    for pid in [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]:
        assert attack.read(f'/proc/{pid}/stat').rpartition(')')[2].split()[4] == '0', 'it has a terminal'
        assert path not in [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
    try:
        said = os.read(master, 100)
    except BlockingIOError:
        said = b''
    assert said == b''
    assert w.stop() == 0
    os.close(slave)
    os.close(master)


def named_among_others(w):
    """In a folder where others may write, and could put a file of the owner's into the log's place, no log is made; in one that is sticky
    it is. Claim: logs-are-the-owners."""
    w.folder('/srv/open', 'root')
    w.folder('/srv/amys', 'amy')
    os.chmod('/srv/open', 0o777)
    for path in ('/srv/open/web.log', '/srv/amys/web.log'):
        os.chmod(os.path.dirname(path), 0o777)
        _prints(w, path)
        assert not os.path.exists(path)
        w.dmctl('david', 'check', 'web').exits(0).says('warning', os.path.dirname(path))
        w.stop()
    os.chmod('/srv/open', 0o1777)
    _prints(w, '/srv/open/web.log')
    info = os.stat('/srv/open/web.log')
    assert (info.st_uid, info.st_mode & 0o777) == (1000, 0o600), info


def named_swapped_with_a_link(w):
    """A file of output= that is exchanged with a link to another file, 10,000 times while lines come and dm-log is killed and opens it
    anew, gets lines, and the other file none. Claim: logs-through-no-link."""
    victim = w.script('/srv/everybodys', 'precious\n', 'amy', 0o666)
    program = attack.program(w, 'lines', f'import os, time\nwhile True:\n    os.write(1, b"{WORD}\\n")\n    time.sleep(0.001)\n')
    w.folder(FOLDER, 'david', 0o700)
    w.conf('david', 'web', f'dir=/\noutput=file:{LOG}\nstart={program}\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: os.path.exists(LOG) and WORD in attack.read(LOG), 'the log is written')
    os.symlink(victim, f'{FOLDER}/link')
    swapper, killed = attack.Swapper(w, 'david', LOG, f'{FOLDER}/link'), 0
    def enough():
        nonlocal killed
        for pid in (pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']):
            os.kill(pid, signal.SIGKILL)
            killed += 1
        return swapper.count() > 10_000 and killed >= 20
    world.wait_for(enough, lambda: f'{swapper.count()} exchanges, {killed} killed')
    assert swapper.end() > 10_000
    assert attack.read(victim) == 'precious\n'
