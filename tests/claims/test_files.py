"""Attacks by what stands in an owner's home: folders and logs that are something else, and file systems that never answer."""
import os
import pty
import signal
import socket
import time

import attack
import hung_fs
import world
from alone import alone

FOLDER = '/home/david/.daemon-manager'
LOGS, LOG = f'{FOLDER}/logs', f'{FOLDER}/logs/web.log'
WORD = 'printed-by-the-daemon'


def log_belongs_to_the_owner(w):
    """The log is the owner's, mode 0600, though the daemon runs as www-data. Claim: logs-are-the-owners."""
    w.conf('david', 'web', 'dir=/\nuser=www-data\noutput=log\nstart=id -un; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'www-data' in attack.read(LOG), 'its line is in the log')
    info = os.stat('/home/david/.daemon-manager/logs/web.log')
    assert (info.st_uid, info.st_mode & 0o777) == (1000, 0o600), info


# A daemon that prints far more than a FIFO holds, and tells when it has.
def _printer(w):
    w.conf('david', 'web', f'dir=/\noutput=log\nstart=yes {WORD} | head -n 20000; touch /tmp/printed; exec sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\noutput=log\nstart=echo music; exec sleep 1002\n')
    w.start()


def log_is_a_link(w):
    """A log that is a symbolic link, to /etc/shadow, to a file of the owner's own, or to one that everybody may write, is not written
    through, and the daemon runs on. Claims: logs-through-no-link, logs-cost-their-owner."""
    w.script('/home/david/precious', 'precious\n', 'david', 0o600)
    w.script('/srv/everybodys', 'precious\n', 'amy', 0o666)
    victims = ('/etc/shadow', '/home/david/precious', '/srv/everybodys')
    before = [attack.state(victim) for victim in victims]
    w.folder(LOGS, 'david', 0o700)
    for victim in victims:
        if os.path.islink(LOG):
            os.unlink(LOG)
            w.stop()
            os.unlink('/tmp/printed')
        os.symlink(victim, LOG)
        _printer(w)
        attack.life_goes_on(w)
        assert os.readlink(LOG) == victim
    assert [attack.state(victim) for victim in victims] == before


def logs_is_a_link(w):
    """A logs/ that is a symbolic link, to /etc, to another folder of the owner's own, or to one where everybody may write, gets no log.
    Claims: logs-through-no-link, logs-cost-their-owner."""
    w.folder('/home/david/else', 'david', 0o700)
    w.folder('/srv/open', 'root')
    os.chmod('/srv/open', 0o1777)
    w.folder(FOLDER, 'david', 0o700)
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    for place in ('/etc', '/home/david/else', '/srv/open'):
        before = sorted(os.listdir(place))
        if os.path.islink(LOGS):
            os.unlink(LOGS)
            w.stop()
            os.unlink('/tmp/printed')
        os.symlink(place, LOGS)
        _printer(w)
        attack.life_goes_on(w)
        assert sorted(os.listdir(place)) == before and os.readlink(LOGS) == place


def log_is_a_fifo(w):
    """A log that is a FIFO hangs nobody, whether or not somebody reads it, and gets no line.
    Claims: logs-are-plain-files, logs-cost-their-owner."""
    w.folder(LOGS, 'david', 0o700)
    os.mkfifo(LOG, 0o600)
    os.chown(LOG, 1000, 1000)
    _printer(w)
    attack.life_goes_on(w)
    reader = os.open(LOG, os.O_RDONLY | os.O_NONBLOCK)
    os.unlink('/tmp/printed')
    w.dmctl('david', 'restart', 'web').exits(0)
    attack.life_goes_on(w)
    assert os.read(reader, 1) == b''
    os.close(reader)


def log_is_a_terminal(w):
    """A log that is a device, here a terminal, gets no line and is nobody's terminal. Claims: logs-are-plain-files, no-terminal."""
    w.folder(LOGS, 'david', 0o700)
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    os.chown(path, 1000, 1000)
    w.script(LOG, '', 'david', 0o600)
    world.mount('--bind', path, LOG)
    try:
        _printer(w)
        attack.life_goes_on(w)
        loggers = [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]
        assert loggers
        for pid in loggers:
            assert attack.read(f'/proc/{pid}/stat').rpartition(')')[2].split()[4] == '0', 'it has a terminal'
            assert path not in [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
        try:
            said = os.read(master, 100)
        except BlockingIOError:
            said = b''
        assert said == b''
        assert w.stop() == 0
    finally:
        w.run('root', 'umount', '-l', LOG).exits(0)
        os.close(slave)
        os.close(master)


def log_is_anything_else(w):
    """A log that is a folder, a socket, a hard link, or another user's file gets no line; nor do lines go to what it is linked with.
    Claims: logs-are-plain-files, logs-cost-their-owner."""
    w.folder(LOGS, 'david', 0o700)
    precious = w.script('/home/david/precious', 'precious\n', 'david', 0o600)
    amys = w.script('/home/amy-wrote-this', 'precious\n', 'amy', 0o666)
    def folder():
        os.mkdir(LOG)
        os.chown(LOG, 1000, 1000)
    def bound():
        socket.socket(socket.AF_UNIX).bind(LOG)
        os.chown(LOG, 1000, 1000)
    for make in (folder, bound, lambda: os.link(precious, LOG), lambda: os.link(amys, LOG)):
        make()
        before = os.lstat(LOG).st_mode
        _printer(w)
        attack.life_goes_on(w)
        assert os.lstat(LOG).st_mode == before and (not os.path.isdir(LOG) or os.listdir(LOG) == [])
        w.stop()
        os.unlink('/tmp/printed')
        os.rmdir(LOG) if os.path.isdir(LOG) else os.unlink(LOG)
    assert attack.read(precious) == attack.read(amys) == 'precious\n'


def log_swapped_with_a_link(w):
    """A log that is exchanged with a link to another file, 10,000 times while lines come and dm-log is killed and opens it anew, gets
    lines, and the other file none. Claim: logs-through-no-link."""
    victim = w.script('/srv/everybodys', 'precious\n', 'amy', 0o666)
    program = attack.program(w, 'lines', f'import os, time\nwhile True:\n    os.write(1, b"{WORD}\\n")\n    time.sleep(0.001)\n')
    w.conf('david', 'web', f'dir=/\noutput=log\nstart={program}\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: os.path.exists(LOG) and WORD in attack.read(LOG), 'the log is written')
    os.symlink(victim, f'{LOGS}/link')
    swapper, killed, opened = attack.Swapper(w, 'david', LOG, f'{LOGS}/link'), 0, set()
    def enough():
        nonlocal killed
        for pid in (pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']):
            opened.add(any('web.log' in name or '/link' in name for name in _open_files(pid)))
            os.kill(pid, signal.SIGKILL)
            killed += 1
        return swapper.count() > 10_000 and killed >= 20 and opened == {True, False}
    world.wait_for(enough, lambda: f'{swapper.count()} exchanges, {killed} killed, {opened}')
    assert swapper.end() > 10_000
    assert attack.read(victim) == 'precious\n'


def _open_files(pid):
    try:
        return [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
    except FileNotFoundError:
        return []


# ---- ~/.daemon-manager

def folder_is_a_link(w):
    """A ~/.daemon-manager that is a symbolic link, to /etc, to a folder of the owner's with confs in it, or to one where everybody may
    write, is not followed: nothing is read, run or made there. Claim: home-links."""
    w.script('/home/david/else/daemons/web.conf', 'dir=/\nstart=sleep 1001\n', 'david', 0o644)
    w.folder('/srv/open', 'root')
    os.chmod('/srv/open', 0o1777)
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    for place in ('/etc', '/home/david/else', '/srv/open'):
        os.symlink(place, FOLDER)
        before = sorted(os.listdir(place))
        w.start()
        w.up('amy/radio')
        w.dmctl('david', 'rescan').exits(1).says('.daemon-manager', 'symbolic link')
        assert 'david/web' not in w.rows() and not w.find('sleep 1001')
        w.stop()
        assert sorted(os.listdir(place)) == before
        os.unlink(FOLDER)


def daemons_is_a_link(w):
    """A daemons/ that is a symbolic link, be it to a folder of the owner's own, is not followed. Claim: home-links."""
    w.script('/home/david/else/web.conf', 'dir=/\nstart=sleep 1001\n', 'david', 0o644)
    w.folder(FOLDER, 'david', 0o700)
    os.symlink('/home/david/else', f'{FOLDER}/daemons')
    w.start()
    w.dmctl('david', 'rescan').exits(1).says('daemons', 'symbolic link')
    assert not w.rows() and not w.find('sleep 1001')


def socket_is_something_else(w):
    """A link, FIFO, file or folder in the place of the owner's socket is left as it is, neither followed nor removed, and he is served
    at the common one. Claim: home-links."""
    path = f'{FOLDER}/command.sock'
    makes = (lambda: os.symlink('/etc/shadow', path), lambda: os.mkfifo(path), lambda: os.mkdir(path),
             lambda: os.link(w.script('/home/david/x', 'x', 'david'), path))
    w.folder(FOLDER, 'david', 0o700)
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    before = attack.state('/etc/shadow')
    for make in makes:
        make()
        kind = os.lstat(path).st_mode
        w.start()
        w.up('david/web')
        w.dmctl('david', 'restart', 'web').exits(0)
        w.stop()
        assert os.lstat(path).st_mode == kind
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    assert attack.state('/etc/shadow') == before


def folder_of_somebody_else(w):
    """A ~/.daemon-manager that is not the owner's is refused as a whole, and others live on. Claim: home-is-his-own."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    os.chown('/home/david/.daemon-manager', 1001, 1001)
    os.chmod('/home/david/.daemon-manager', 0o755)  # so that it is only whose it is
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    assert not w.find('sleep 1001')
    answer = w.dmctl('david', 'rescan')
    assert answer.code == 1 and '.daemon-manager: belongs to uid 1001' in answer.text, repr(answer)


def folder_that_others_may_write(w):
    """A ~/.daemon-manager/daemons that others may write to is refused as a whole. Claim: home-is-his-own."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    os.chmod('/home/david/.daemon-manager/daemons', 0o777)
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    assert not w.find('sleep 1001')
    answer = w.dmctl('david', 'rescan')
    assert 'daemons' in answer.text, repr(answer)


# ---- a file system that never answers

def _pending_kill(w, pid):
    return int(w.status_of(pid)['ShdPnd'], 16) >> signal.SIGKILL - 1 & 1 == 1


@alone
def home_that_never_answers(w):
    """A FUSE home that never answers, and a dir= in one: others are served within a second, the helpers are killed at their deadline of
    10 s and said to be, and while they stay in state D they keep their owner's one place of each kind. Claim: hung-home."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'there', 'dir=/home/amy/folder\nstart=sleep 1003\n')
    def served():
        for verb in ('restart', 'stop', 'start', 'status'):
            begin = time.monotonic()
            w.dmctl('david', verb, 'web').exits(0)
            took = time.monotonic() - begin
            assert took < (10 if w.cage else 1), f'{verb} took {took:.2f} s'  # (the sanitizers make all of it slower)
    with hung_fs.hung('/home/amy'):
        begin = time.monotonic()
        w.start('[runs_as]\ndavid\namy\n[manages]\nhelpdesk: amy\n', ready=False)
        world.wait_for(lambda: w.find('sleep 1001'), 'the daemon of another runs')
        served()
        def stuck():
            return {pid: w.command_of(pid)[:1] for pid in w.of_user('amy') + w.of_user('david') if w.status_of(pid)['State'][0] == 'D'}
        world.wait_for(lambda: len(stuck()) >= 3, lambda: f'three helpers hang: {stuck()}')
        pids = {*stuck()}
        w.wait_log('dm-scan for uid 1001 did not end in 10 s and is killed', 'dm-listen for uid 1001 did not end')
        assert time.monotonic() - begin > 9.9, time.monotonic() - begin
        w.wait_note('david/there', 'not executed in 10 s')
        world.wait_for(lambda: all(_pending_kill(w, pid) for pid in pids), 'all were killed')
        assert {*stuck()} == pids, 'one that is in D does not die of it'
        asked = w.background('helpdesk', world.DMCTL, '-u', 'amy', 'rescan')
        served()
        assert {*stuck()} == pids and len(w.of_user('amy')) == 2, 'another helper of a kind that hangs'
        asked.kill()
        asked.wait()
    world.wait_for(lambda: not stuck(), 'the stuck helpers are gone')
    w.dmctl('amy', 'rescan').exits(0)
    w.up('amy/radio')
