"""A worker that was taken over makes, holds and lets go of listening sockets, and runs commands: nothing comes of it that the owner did
not write and root did not grant."""
import os
import re
import signal
import socket
import stat
import time

import hung_fs
import world
from hostile import CONFIG, scene

# The third of david's entries; the first is site, of www-data, the second web.
SOCKET = '/tmp/david/zsock.sock'
RUN_BOOK, USER, BOOK = 4, 5, 14  # RunStage


def _conf(w, listen, more=''):
    w.folder('/tmp/david', 'david', 0o711)
    w.conf('david', 'zsock', f'dir=/\nautostart=no\nstart=sleep 9004\nlisten={listen}\n{more}')


def only_what_is_written_is_bound(w):
    """dm-listen binds nothing but what the conf of the entry says, in nobody's group but the target's that it names: neither for entries
    without listen=, nor beyond the book, nor for another target whom root allows. Claim: sockets-as-written."""
    with scene(w) as it:
        _conf(w, SOCKET)
        for order, stage in (('bind david 0 www-data', BOOK), ('bind david 3 david', BOOK), ('bind david -1 david', BOOK),
                             ('bind david 2 www-data', USER), ('port david 2 david', BOOK)):
            it.order(order)
            it.hears(f'failed at stage {stage}', 'holds 0')
            it.unharmed()
            assert not os.path.exists(SOCKET)
        it.order('bind david 2 david')
        it.hears('holds 1')
        it.unharmed()
        status = os.stat(SOCKET)
        assert stat.S_ISSOCK(status.st_mode) and (status.st_uid, status.st_gid) == (1000, 1000), status
        assert stat.S_IMODE(status.st_mode) == 0o660


def only_what_is_written_on_a_low_port(w):
    """A port that root grants is bound at that address alone which the owner wrote; it is another's in no other way. Claims: low-ports,
    sockets-as-written."""
    with scene(w) as it:
        for listen, said in (('127.0.0.2:871', f'failed at stage {BOOK}'), ('127.0.0.1:80', f'failed at stage {BOOK}'),
                             ('[::1]:871', f'failed at stage {BOOK}'), ('127.0.0.1:871', 'holds 1')):
            _conf(w, listen)
            it.order('port david 2 david')
            it.hears(said)
            it.unharmed()
        socket.create_connection(('127.0.0.1', 871), 5).close()
        with open(f'/proc/{w.manager.pid}/status') as status:
            effective = re.search('CapEff:\\s*(\\w+)', status.read()).group(1)
        assert int(effective, 16) == 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18, effective


def only_its_own_are_lent(w):
    """dm-run starts no entry with sockets that it does not name, neither as their target nor as another whom root allows. Claim:
    sockets-as-written."""
    with scene(w) as it:
        _conf(w, SOCKET)
        for entry, target in (('1', 'david'), ('0', 'www-data')):
            it.order(f'lend {entry} {target}')
            it.hears('has been lent it, and is in state 1', f'failed at stage {RUN_BOOK}')
            it.unharmed()


def beside_what_runs_as_another(w):
    """Beside a daemon that runs as one target nothing is bound or run as another, and the record of whom it runs as stays. Claim:
    target-as-written."""
    with scene(w) as it:
        _conf(w, SOCKET)
        it.order('others')
        it.hears('others asked: 1', 'to bind there refused 4', 'a command there refused 4', 'it runs as ever 1')
        it.unharmed()
        it.honest_again()


def low_ports_are_given_up(w):
    """Without a port below 1024 in the config the monitor has no CAP_NET_BIND_SERVICE; a reload that grants one gives it back by an exec
    in place, which no daemon notices, and one that takes them away drops it. Claim: low-ports."""
    def capabilities():
        with open(f'/proc/{w.manager.pid}/status') as status:
            return int(re.search('CapEff:\\s*(\\w+)', status.read()).group(1), 16)
    four, bind = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 18, 1 << 10
    none = CONFIG.replace('david: 80, 871', 'david: 8000-8100')
    with scene(w) as it:
        it.fresh(none)
        assert capabilities() == four
        w.reload(CONFIG)
        world.wait_for(lambda: capabilities() == four | bind, lambda: f'the privilege is back: {w.log()}')
        it.honest_again()
        it.unharmed()
        w.reload(none)
        world.wait_for(lambda: capabilities() == four, 'the privilege is gone')
        it.honest_again()
        it.unharmed()


def unbound_in_every_state(w):
    """Sockets let go of in every state of their place, twice at once, beside a bind and by the hundred: the file goes, and nothing else
    happens to anybody. Claim: sockets-unlinked."""
    with scene(w) as it:
        _conf(w, SOCKET)
        it.order('unbinds 2')
        it.hears('unbound in every state 0')
        assert 'beside a bind refused 4' in w.log(), w.log()
        world.wait_for(lambda: not w.find('sleep 9004'), 'the daemon has ended')
        it.unharmed()
        assert not os.path.exists(SOCKET)
        it.honest_again()
        it.unharmed()
        it.serves()


def sockets_outlive_their_keepers(w):
    """A daemon's sockets are the same ones after the worker has died, after an upgrade and after the monitor was killed: its queue goes
    on. After the latter they are taken out of the daemon, which may have others open, and those are let alone. Claim: sockets-kept."""
    program = w.script('/tmp/david/serve.py', 'import socket, time\nother = socket.socket(socket.AF_UNIX)\nother.bind("/tmp/david/other")\n'
                       'other.listen()\ntime.sleep(9004)\n', 'david', 0o644)
    def numbers():
        folder = f'/proc/{w.manager.pid}/fd'
        return {os.readlink(f'{folder}/{fd}') for fd in os.listdir(folder) if os.path.lexists(f'{folder}/{fd}')}
    with scene(w) as it:
        w.folder('/tmp/david', 'david', 0o711)
        w.conf('david', 'zsock', f'dir=/\nautostart=no\nstart=python3 {program}\nlisten={SOCKET}\nlisten=127.0.0.1:8711\n')
        it.order('serve 2')
        it.hears('serves with 2')
        pid = world.wait_for(lambda: os.path.exists('/tmp/david/other') and w.find(f'python3 {program}'), 'the daemon listens')[0]
        mine = {os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')} & numbers()
        mine = {name for name in mine if name.startswith('socket:')}
        assert len(mine) == 2, mine
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(SOCKET)  # queued until somebody accepts it
        it.order('kept', fresh=False)
        it.hears('kept of them 2')
        w.run('root', world.MANAGER, '--upgrade').exits(0)
        world.wait_for(lambda: w.log().count('kept of them 2') == 2, w.log)
        assert mine <= numbers()
        w.manager.kill()
        w.manager.wait()
        w.start(CONFIG, ready=False)
        world.wait_for(lambda: w.log().count('kept of them 2') >= 3 or w.log().count('kept of them 2') == 1, w.log)
        found = {name for name in numbers() if name.startswith('socket:')}
        assert mine <= found
        others = {os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')} - mine
        assert not {name for name in others if name.startswith('socket:')} & found
        assert w.find(f'python3 {program}') == [pid]
        socket.create_connection(('127.0.0.1', 8711), 5).close()
        os.kill(pid, signal.SIGKILL)


def a_flood_of_commands(w):
    """stop= and reload= asked for a thousand times at once run one at a time, and only beside a daemon that runs. Claim: limits-kept."""
    with scene(w) as it:
        it.order('commands')
        it.hears('commands that were run:')
        assert 'of an idle one refused 4' in w.log(), w.log()
        assert int(re.search(r'that were run: (\d+)', w.log()).group(1)) < 130, w.log()
        it.unharmed()
        it.honest_again()
        it.unharmed()
        it.serves()


def who_may_notify(w):
    """A place's notify socket takes datagrams of its target, and of nobody else but root. Claim: who-may-notify."""
    send = 'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"READY=1", sys.argv[1])'
    with scene(w) as it:
        it.order('notified')
        it.hears('may be told of place')
        folder = '/run/daemon-manager/notify'
        path = folder + '/' + re.search(r'told of place (\d+)', w.log()).group(1)
        status = os.stat(path)
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 33, 0o660), status
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o711
        w.run('www-data', 'python3', '-c', send, path).exits(0)
        for user in ('amy', 'bob', 'eve', 'nobody', '_daemon-manager'):
            assert 'PermissionError' in w.run(user, 'python3', '-c', send, path).text, user
            assert w.run(user, 'ls', folder).code != 0, user
        it.unharmed(besides=1)


def only_its_own_file_goes(w):
    """What stands in the place of a bound socket by then is not removed with it: neither a file, nor a link, nor another socket of the
    owner's, nor one of somebody else's. Claim: sockets-unlinked."""
    def put(path, what):
        os.unlink(path)
        if what == 'file':
            with open(path, 'w'):
                pass
        elif what == 'link':
            os.symlink('/tmp/david/other', path)
        else:
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
        os.chown(path, 1001 if what == 'socket of amy' else 1000, 1000, follow_symlinks=False)
    with scene(w) as it:
        _conf(w, SOCKET)
        for what in ('file', 'link', 'socket of amy', 'socket'):
            if os.path.lexists(SOCKET):
                os.unlink(SOCKET)
            it.order('hold 2')
            it.hears('holds 1')
            put(SOCKET, what)
            before = os.lstat(SOCKET)
            os.kill(it.daemons.pop('amy/radio'), signal.SIGKILL)
            it.hears('let go 0')
            now = os.lstat(SOCKET)
            assert (now.st_ino, now.st_uid, now.st_mode) == (before.st_ino, before.st_uid, before.st_mode), what
            it.unharmed()


# ---- what a daemon may do with what it was handed

TRICKS = '''
import os, socket, struct, sys, time
where, trick = sys.argv[1:]
mine = socket.socket(fileno=os.dup(0))
os.close(0)
while not os.path.exists(where + '/go'):
    time.sleep(0.01)
mine.shutdown(socket.SHUT_RDWR)
mine.connect(('127.0.0.1', 8712))
if trick == 'linger':
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
    mine.setblocking(False)
    try:
        while True:
            mine.send(bytes(65536))
    except BlockingIOError:
        pass
    mine.close()
else:
    SO_TIMESTAMPING, TX_SOFTWARE, SOFTWARE = 37, 1 << 1, 1 << 4
    mine.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SOFTWARE | SOFTWARE)
    mine.send(b'x')
open(where + '/done', 'w').close()
time.sleep(9004)
'''


def _tricks(w, trick):
    """A daemon that makes of its listening socket what the kernel does not tell the monitor: it does so while that one is busy."""
    w.folder('/tmp/david', 'david', 0o711)
    program = w.script('/tmp/david/tricks.py', TRICKS, 'david', 0o644)
    w.conf('david', 'web', f'dir=/\nstart=python3 {program} /tmp/david {trick}\nlisten=127.0.0.1:8711\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 9003\n')
    w.start()
    w.up('david/web')
    w.up('amy/radio')
    w.manager.send_signal(signal.SIGSTOP)
    open('/tmp/david/go', 'w').close()
    world.wait_for(lambda: os.path.exists('/tmp/david/done'), 'the trick is done')
    w.manager.send_signal(signal.SIGCONT)


def _deaf():
    """Whom a daemon may connect to: it accepts nobody."""
    deaf = socket.create_server(('127.0.0.1', 8712))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return deaf


def closing_that_lingers(w):
    """A daemon that connects its listening socket to somebody who reads nothing, and asks that whoever closes it last waits for him, keeps
    the monitor from nothing. Claim: waits-for-no-daemon."""
    with _deaf():
        _tricks(w, 'linger')
        stop = w.background('david', world.DMCTL, 'stop', 'web')
        w.dmctl('amy', 'restart', 'radio').exits(0)
        stop.communicate(timeout=world.PATIENCE)
        assert stop.returncode == 0
        w.dmctl('amy', 'restart', 'radio').exits(0)


def errors_that_stay(w):
    """A daemon that leaves something in the error queue of its socket does not keep the monitor turning. Claim: waits-for-no-daemon."""
    def used():
        with open(f'/proc/{w.manager.pid}/stat') as line:
            return line.read().rpartition(')')[2].split()[11:13]
    def asleep():
        before = used()
        time.sleep(0.3)
        return used() == before
    with _deaf():
        _tricks(w, 'error')
        world.wait_for(asleep, 'the monitor sleeps', 20)
        w.dmctl('david', 'restart', 'web').exits(0)
        w.dmctl('amy', 'restart', 'radio').exits(0)


def files_that_never_close(w):
    """A daemon that has a file open whose file system answers no close does not keep the next monitor from taking over, which looks in
    it for its sockets. Claim: waits-for-no-daemon."""
    w.folder('/tmp/david', 'david', 0o711)
    program = w.script('/tmp/david/holds.py', 'import os, socket, time\nos.dup2(0, 99)\nos.dup2(os.open("/mnt/file", os.O_RDONLY), 0)\n'
                       'open("/tmp/david/done", "w").close()\ntime.sleep(9004)\n', 'david', 0o644)
    w.conf('david', 'web', f'dir=/\nstart=python3 {program}\nlisten={SOCKET}\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 9003\n')
    with hung_fs.hung('/mnt', 'opens'):
        w.start()
        pids = w.up('david/web'), w.up('amy/radio')
        world.wait_for(lambda: os.path.exists('/tmp/david/done'), 'the file is open')
        w.manager.kill()
        w.manager.wait()
        w.start()
        assert (w.up('david/web'), w.up('amy/radio')) == pids
        socket.socket(socket.AF_UNIX).connect(SOCKET)
        w.dmctl('amy', 'restart', 'radio').exits(0)
