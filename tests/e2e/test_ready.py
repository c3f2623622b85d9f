"""Readiness: when a daemon counts as running, and what it may say of itself."""
import os
import signal
import time

import server
import world
import wreck

PYTHON = '/usr/bin/python3'  # which anybody may run
# Says what it finds in /tmp/say, a line at a time, to where its NOTIFY_SOCKET says.
TELLER = r'''#!/usr/bin/python3
import array, os, signal, socket, sys, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text, control=()):
    try:
        notify.sendmsg([text], control, 0, os.environ['NOTIFY_SOCKET'])
    except ConnectionRefusedError:
        open('/tmp/refused', 'w').close()
def alive(*_):
    global feeding
    feeding = False
feeding = 'feed' in sys.argv
signal.signal(signal.SIGUSR1, alive)
if 'ready' in sys.argv:
    say(b'READY=1')
while 'flood' in sys.argv:
    say(b'STATUS=flood')
while True:
    if feeding:
        say(b'WATCHDOG=1')
    if os.path.exists('/tmp/say'):
        text = open('/tmp/say', 'rb').read()
        os.unlink('/tmp/say')
        if text == b'descriptors':
            say(b'STATUS=descriptors', [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))])
        else:
            say(text)
    time.sleep(0.05)
'''
START = 'dir=/\nstart=/srv/teller {words}\n'
NOTIFY = START + 'ready=notify\n'


def _conf(w, words='', more='', text=NOTIFY):
    os.makedirs('/srv', exist_ok=True)
    w.script('/srv/teller', TELLER)
    return w.conf('david', 'web', text.format(words=words) + more)


def _executed(w):
    """Waits until the teller runs, not only what leads there; returns its pid."""
    def running():
        found = w.find('/usr/bin/python3 /srv/teller')
        return found if len(found) == 1 else None
    return world.wait_for(running, 'it was executed')[0]


def _say(text):
    with open('/tmp/say.new', 'wb') as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.chmod('/tmp', 0o777)
    os.rename('/tmp/say.new', '/tmp/say')
    world.wait_for(lambda: not os.path.exists('/tmp/say'), 'it was said')


def start_waits_for_ready(w):
    """With ready=notify `start` waits until READY=1, and status says until then that it is starting."""
    _conf(w, more='autostart=no\n')
    w.start()
    start = w.background('david', world.DMCTL, 'start', 'web')
    w.wait_state('david/web', 'starting')
    w.wait_note('not ready yet')
    world.wait_for(lambda: w.find('/srv/teller'), 'it was executed')
    assert start.poll() is None and w.row('david/web').state == 'starting'
    _say('READY=1')
    assert start.wait(20) == 0, start.stdout.read()
    assert w.row('david/web').state == 'running'


def late_one_is_killed(w):
    """One that is not ready within start_timeout is killed; that is a failed start, and it is said why."""
    _conf(w, more='start_timeout=1s\nautostart=no\n')
    w.start()
    w.dmctl('david', 'start', 'web').exits(1).says('not ready within 1s', 'READY=1')
    w.wait_note('start failed', 'start_timeout')
    world.wait_for(lambda: w.row('david/web').respawns >= 1, 'it is tried again')


def status_is_shown(w):
    """STATUS= is shown by `dmctl status`, no longer than 200 bytes and made safe for a terminal."""
    _conf(w, 'ready')
    w.start()
    w.up('david/web')
    _say(b'STATUS=42 requests \x1b[31m' + b'x' * 300)
    w.wait_note('42 requests \\x1b[31m')
    assert 'x' * 201 not in w.dmctl('root', 'status').text


def silent_one_is_restarted(w):
    """With watchdog=1s one that goes on saying WATCHDOG=1 runs on; one that falls silent is ended and started again."""
    _conf(w, 'ready feed', 'watchdog=1s\n')
    w.start()
    pid = w.up('david/web')
    until = time.monotonic() + 3
    world.wait_for(lambda: time.monotonic() > until, 'three periods are over')
    assert w.up('david/web') == pid
    os.kill(pid, signal.SIGUSR1)
    w.wait_note('watchdog=')
    w.wait_log('SIGABRT')
    world.wait_for(lambda: w.up('david/web') != pid, 'it is back')


def main_pid_is_refused(w):
    """MAINPID= is refused: the pid stays, and the log says so once."""
    _conf(w, 'ready')
    w.start()
    pid = w.up('david/web')
    for _ in range(3):
        _say('MAINPID=1')
    _say('STATUS=said')
    w.wait_note('said')
    assert w.up('david/web') == pid
    assert w.log().count('MAINPID') == 1, w.log()


def strangers_cannot_say_it(w):
    """Nobody but the target, or who is in its group, can send to a daemon's notify socket, nor find it by listing."""
    _conf(w)
    w.start()
    w.wait_state('david/web', 'starting')
    world.wait_for(lambda: w.find('/srv/teller'), 'it was executed')
    code = ("import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            f"for i in range(8):\n  try: s.sendto(b'READY=1', '{world.RUN_DIR}/notify/%d' % i)\n"
            "  except (PermissionError, FileNotFoundError): pass\n  else: print('sent')\n")
    assert w.run('amy', PYTHON, '-c', code).out == ''
    assert 'sent' in w.run('david', PYTHON, '-c', code).out
    w.up('david/web')


def descriptors_are_dropped(w):
    """Descriptors that come with a datagram do not stay in the worker."""
    _conf(w, 'ready')
    w.start()
    w.up('david/web')
    _say('STATUS=first')
    w.wait_note('first')
    before = len(os.listdir(f'/proc/{w.worker()}/fd'))
    for _ in range(5):
        _say('descriptors')
    _say('STATUS=last')
    w.wait_note('last')
    assert len(os.listdir(f'/proc/{w.worker()}/fd')) <= before


def nonsense_is_dropped(w):
    """Datagrams that are empty, binary, too long, without sense or for another time change nothing."""
    _conf(w, 'ready')
    w.start()
    pid = w.up('david/web')
    for text in (b'', b'\0READY=1', b'=', b'READY=2', b'x' * 5000, b'\xff' * 300, b'WATCHDOG=trigger', b'WATCHDOG_USEC=1',
                 b'EXTEND_TIMEOUT_USEC=99999999999999999999', b'STOPPING=2', b'\n' * 1000):
        _say(text)
    _say('STATUS=last')
    w.wait_note('last')
    assert w.up('david/web') == pid


def floods_starve_nobody(w):
    """A daemon that does nothing but send keeps nobody waiting."""
    _conf(w, 'ready flood')
    w.start()
    w.up('david/web')
    w.wait_note('flood')
    began = time.monotonic()
    for _ in range(10):
        w.dmctl('amy', 'status').exits(0)
    assert time.monotonic() - began < 10
    w.dmctl('david', 'stop', 'web').exits(0)


def ready_survives_the_worker(w):
    """One that becomes ready while the worker is being replaced is running afterwards, and its start_timeout still counts."""
    _conf(w, more='start_timeout=20s\n')
    w.start()
    w.wait_state('david/web', 'starting')
    pid = _executed(w)
    old = w.worker()
    os.kill(old, signal.SIGKILL)
    _say('READY=1')
    assert w.up('david/web') == pid


def ready_survives_the_monitor(w):
    """One that becomes ready after the monitor was killed with -9 is running afterwards."""
    _conf(w)
    w.start()
    w.wait_state('david/web', 'starting')
    pid = _executed(w)
    wreck.kill_manager(w)
    w.start()
    w.wait_state('david/web', 'starting')
    _say('READY=1')
    assert w.up('david/web') == pid


def executed_unheard(w):
    """One whose worker has not heard yet that it was executed when the monitor is killed is not taken for ready by the next."""
    _conf(w, more='before=touch /tmp/before; until test -e /tmp/go; do sleep 0.05; done\n')
    os.chmod('/tmp', 0o777)
    w.start()
    world.wait_for(lambda: os.path.exists('/tmp/before'), 'before= runs')
    os.kill(w.worker(), signal.SIGSTOP)
    open('/tmp/go', 'w').close()
    pid = _executed(w)
    wreck.kill_manager(w)
    w.start()
    w.wait_state('david/web', 'starting')
    _say('READY=1')
    assert w.up('david/web') == pid


def _killed_before_it_is_ready(w, conf):
    w.conf('david', 'web', conf)
    w.start()
    w.wait_note('not ready yet')
    pid = w.row('david/web').pid
    wreck.kill_manager(w)
    w.start()
    assert w.row('david/web').pid == pid
    open('/tmp/late', 'w').close()
    return pid


def answering_survives_the_monitor(w):
    """With ready=connect, too, one that answers after the monitor was killed is running then."""
    os.makedirs('/srv', exist_ok=True)
    w.script('/srv/server', server.SERVER)
    pid = _killed_before_it_is_ready(w, 'dir=/\nlisten=/home/david/web.sock\nready=connect\nstart_timeout=1h\nstart=/srv/server late\n')
    assert w.up('david/web') == pid


def newline_survives_the_monitor(w):
    """One whose newline may have reached nobody, because the monitor was killed before, is not ended for it: at start_timeout it is
    taken for ready."""
    pid = _killed_before_it_is_ready(w, 'dir=/\nready=fd:3\nstart_timeout=4s\ncooldown=1h\nstart=exec sleep 1001\n')
    assert w.up('david/web') == pid


def refused_word_survives_the_monitor(w):
    """One whose READY=1 was refused, because there was no monitor just then, is not ended for it, but taken for ready likewise."""
    _conf(w, more='start_timeout=4s\ncooldown=1h\n')
    w.start()
    w.wait_state('david/web', 'starting')
    pid = _executed(w)
    wreck.kill_manager(w)
    _say('READY=1')
    world.wait_for(lambda: os.path.exists('/tmp/refused'), 'it was refused')
    w.start()
    assert w.row('david/web').state == 'starting'
    assert w.up('david/web') == pid


def silence_survives_an_upgrade(w):
    """An upgrade makes nobody ready: who has said nothing by start_timeout is killed, and what he says after it is heard."""
    _conf(w, more='start_timeout=4s\ncooldown=1h\n')
    w.conf('david', 'late', 'dir=/\nready=fd:3\nstart_timeout=1h\nstart=until test -e /tmp/go; do sleep 0.05; done; echo >&3; exec sleep 1001\n')
    w.start()
    world.wait_for(lambda: w.find('/usr/bin/python3 /srv/teller'), 'it was executed')
    w.wait_state('david/late', 'starting')
    w.run('root', world.MANAGER, '--upgrade').exits(0)
    open('/tmp/go', 'w').close()
    w.up('david/late')
    w.wait_state('david/web', 'cooldown')
    w.wait_note('was not ready within 4s')


def time_can_be_extended(w):
    """EXTEND_TIMEOUT_USEC gives one more time to become ready."""
    _conf(w, more='start_timeout=2s\n')
    w.start()
    pid = _executed(w)
    _say('EXTEND_TIMEOUT_USEC=30000000')
    until = time.monotonic() + 3
    world.wait_for(lambda: time.monotonic() > until, 'start_timeout is over')
    _say('READY=1')
    assert w.up('david/web') == pid


def newline_is_ready(w):
    """With ready=fd:3 it is running when it has written a newline to descriptor 3."""
    w.conf('david', 'web', 'dir=/\nready=fd:3\nstart=while ! test -e /tmp/go; do sleep 0.05; done; echo >&3; exec sleep 1001\n')
    w.start()
    w.wait_note('not ready yet')
    assert w.row('david/web').state == 'starting'
    open('/tmp/go', 'w').close()
    w.up('david/web')


def answering_is_ready(w):
    """With ready=connect it is running when it has accepted a connection, and nothing of the manager's is left in its tree."""
    os.makedirs('/srv', exist_ok=True)
    w.script('/srv/server', server.SERVER)
    w.conf('david', 'web', 'dir=/\nlisten=/home/david/web.sock\nready=connect\nstart=/srv/server late\n')
    w.start()
    w.wait_note('not ready yet')
    assert w.row('david/web').state == 'starting'
    open('/tmp/late', 'w').close()
    pid = w.up('david/web')
    world.wait_for(lambda: w.of_user('david') == [pid], lambda: f'only the daemon is left: {w.of_user("david")}')
