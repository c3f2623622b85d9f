"""Listening sockets: who makes them, who holds them, and that no connection is refused while a daemon is away."""
import contextlib
import os
import signal
import socket
import stat

import server
import world

PYTHON = '/usr/bin/python3'  # which anybody may run
SOCKET = '/home/david/web.sock'
CONF = f'dir=/\nlisten={SOCKET}\nstart=/srv/server {{words}}\n'


def _conf(w, words='', more='', name='web', owner='david'):
    os.makedirs('/srv', exist_ok=True)
    w.script('/srv/server', server.SERVER)
    return w.conf(owner, name, CONF.format(words=words) + more)


def _up(w, words='', more=''):
    _conf(w, words, more)
    w.start()
    return w.up('david/web')


def is_descriptor_0(w):
    """One listen= socket is the daemon's descriptor 0, owner:target-group 0660, and connections are answered."""
    pid = _up(w, more='user=www-data\n')
    info = os.stat(SOCKET)
    assert stat.S_ISSOCK(info.st_mode) and stat.S_IMODE(info.st_mode) == 0o660, oct(info.st_mode)
    assert (info.st_uid, info.st_gid) == (w.ids('david')['user'], w.ids('www-data')['group'])
    assert server.ask(SOCKET) == pid


def are_descriptors_from_3(w):
    """Several listen= sockets, of a path and of ports, come as LISTEN_FDS from 3 on; so does one with listen_pass=fds."""
    _conf(w, more='listen=127.0.0.1:8123\nlisten=[::1]:8124\n')
    w.conf('amy', 'one', 'dir=/\nlisten=127.0.0.1:8125\nlisten_pass=fds\nstart=/srv/server\n')
    w.start()
    pid = w.up('david/web')
    assert [server.ask(SOCKET), server.ask(('127.0.0.1', 8123))] == [pid, pid]
    assert server.ask(('127.0.0.1', 8125)) == w.up('amy/one')


def stays_over_everything(w):
    """No connection is refused while the daemon is restarted, it, the worker and the monitor are killed with -9, and the manager is upgraded."""
    _up(w)
    with server.clients(SOCKET) as met:
        for _ in range(3):
            w.dmctl('david', 'restart', 'web').exits(0)
        for _ in range(2):
            pid = w.up('david/web')
            os.kill(pid, signal.SIGKILL)
            world.wait_for(lambda: not w.alive(pid), 'the daemon is dead')
            w.dmctl('david', 'start', 'web').exits(0)
        os.kill(w.worker(), signal.SIGKILL)
        w.up('david/web')
        w.run('root', world.MANAGER, '--upgrade', timeout=world.PATIENCE).exits(0)
        w.up('david/web')
        w.manager.kill()
        w.manager.wait()
        w.start()
        w.up('david/web')
        w.dmctl('david', 'restart', 'web').exits(0)
        before = met['answered']
        world.wait_for(lambda: met['answered'] > before + 20, 'connections are answered')
    assert not met['refused'], met
    assert met['cut'] <= 4 * 8, met  # those in the hands of a process that was killed


def waits_while_it_is_away(w):
    """A connection made while the daemon is in its cooldown is answered by its successor."""
    pid = _up(w, more='cooldown=2s\n')
    os.kill(pid, signal.SIGKILL)
    w.wait_state('david/web', 'cooldown')
    answered = server.ask(SOCKET)
    assert answered not in (None, pid) and answered == w.up('david/web')


def goes_when_stopped(w):
    """The file goes when the daemon is stopped, before `stop` is answered; it goes, too, when the manager ends."""
    _up(w)
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not os.path.exists(SOCKET)
    w.dmctl('david', 'start', 'web').exits(0)
    assert os.path.exists(SOCKET)
    w.stop()
    assert not os.path.exists(SOCKET)


def goes_when_forgotten(w):
    """The file goes when the conf is gone."""
    path = _conf(w)
    w.start()
    w.up('david/web')
    os.unlink(path)
    w.rescan('david')
    world.wait_for(lambda: not os.path.exists(SOCKET), 'the file is gone')


def stale_one_is_replaced(w):
    """A socket file that nobody listens on any more is replaced."""
    old = socket.socket(socket.AF_UNIX)
    old.bind(SOCKET)
    old.close()
    os.chown(SOCKET, w.ids('david')['user'], w.ids('david')['group'])
    pid = _up(w)
    assert server.ask(SOCKET) == pid


def live_one_is_refused(w):
    """An address that somebody else listens on is refused with his pid, the line and the conf; when he goes it starts."""
    code = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{SOCKET}'); s.listen(); time.sleep(1000)"
    other = w.background('david', PYTHON, '-c', code)
    world.wait_for(lambda: os.path.exists(SOCKET), 'the other listens')
    conf = _conf(w)
    w.start()
    w.wait_note(f'process {other.pid} listens there', SOCKET, conf)
    w.dmctl('david', 'start', 'web').exits(1).says(f'process {other.pid} listens there')
    other.kill()
    other.wait()
    w.up('david/web')


def no_directory_is_told(w):
    """A path in a directory that is not there is a failed start that says which, and what to do."""
    w.conf('david', 'web', 'dir=/\nlisten=/home/david/none/web.sock\nstart=sleep 1001\n')
    w.start()
    w.wait_note('/home/david/none', 'Make that directory')
    w.dmctl('david', 'stop', 'web').exits(0)


def low_port_is_roots_word(w):
    """A port below 1024 without root's word is refused, and it is said which line root can write."""
    w.conf('david', 'web', 'dir=/\nlisten=127.0.0.1:80\nstart=sleep 1001\n')
    w.start()
    w.wait_note('[ports]', 'david: 80')
    assert w.row('david/web').state == 'stopped'


def low_port_is_granted(w):
    """With a row under [ports] the daemon gets the port."""
    _conf(w)
    w.conf('david', 'web', 'dir=/\nlisten=127.0.0.1:80\nstart=/srv/server\n')
    w.start(w.DEFAULT_CONFIG + '[ports]\ndavid: 80\n')
    pid = w.up('david/web')
    assert server.ask(('127.0.0.1', 80)) == pid


def is_bound_again_when_shut_down(w):
    """A socket that its daemon has shut down is bound again; whoever connects waits for the next process."""
    pid = _up(w, 'shut')
    inode = os.stat(SOCKET).st_ino
    open('/tmp/shut', 'w').close()

    def again():  # for a moment there is no file, and then one on which nobody listens yet
        with contextlib.suppress(OSError):
            return server.connect(SOCKET) if os.stat(SOCKET).st_ino != inode else None
    with world.wait_for(again, 'it is bound again') as peer:
        os.unlink('/tmp/shut')
        _conf(w)
        w.dmctl('david', 'restart', 'web').exits(0)
        assert int(peer.recv(100)) == w.up('david/web') != pid


def first_connection_starts_it(w):
    """With start_on=connection it listens, the first connection starts it, and after exit code 0 it waits for the next."""
    _conf(w, 'once', 'start_on=connection\n')
    w.start()
    w.wait_state('david/web', 'listening')
    assert not w.find('/srv/server')
    pids = set()
    for _ in range(3):
        pids.add(server.ask(SOCKET))
        w.wait_state('david/web', 'listening')
    assert len(pids) == 3 and None not in pids, pids
    assert w.row('david/web').respawns == 0
    w.dmctl('david', 'status', 'web').exits(0)
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not os.path.exists(SOCKET)


def listening_survives_the_worker(w):
    """One that waits for its first connection goes on doing so after the worker and the monitor were killed."""
    _conf(w, more='start_on=connection\n')
    w.start()
    w.wait_state('david/web', 'listening')
    old = w.worker()
    os.kill(old, signal.SIGKILL)
    world.wait_for(lambda: w.worker() not in (None, old), 'there is another worker')
    w.wait_state('david/web', 'listening')
    w.manager.kill()
    w.manager.wait()
    w.start()
    w.wait_state('david/web', 'listening')
    assert server.ask(SOCKET) == w.up('david/web')


def crash_of_one_started_by_connection(w):
    """With start_on=connection a failure goes through the cooldown, and then it is started again by itself."""
    _conf(w, more='start_on=connection\n')
    w.start()
    w.wait_state('david/web', 'listening')
    pid = server.ask(SOCKET)
    os.kill(pid, signal.SIGKILL)
    w.wait_state('david/web', 'cooldown')
    assert w.up('david/web') != pid


def other_line_other_socket(w):
    """A restart with another listen= takes the old file away and makes the new one."""
    _up(w)
    w.conf('david', 'web', CONF.format(words='').replace('web.sock', 'new.sock'))
    w.dmctl('david', 'restart', 'web').exits(0)
    assert not os.path.exists(SOCKET)
    assert server.ask('/home/david/new.sock') == w.up('david/web')
