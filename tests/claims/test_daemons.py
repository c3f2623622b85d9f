"""Daemons that do their worst: that flee, multiply, print without end, or leave their pid to a stranger."""
import contextlib
import json
import os
import signal
import threading
import time

import client
import world

LIMITS = '[runs_as]\ndavid: www-data\namy\n[limits]\ndavid: starts=10000\n'
NO_CGROUP = '[settings]\ncgroup=no\n'

# Many short-lived processes, each a leader of its own session: whoever gets a pid that was a daemon's is one of them. All end
# by themselves; which did not, and which pids there were, stands in a file at the end.
STRANGERS = '''#!/usr/bin/python3
import json, os, random, signal, sys, time
alive, had, hit = set(), set(), []
done = []
signal.signal(signal.SIGUSR1, lambda *_: done.append(1))
while not done or alive:
    while not done and len(alive) < 60:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            if sys.argv[1] == 'leaders':
                os.setsid()
            time.sleep(random.random() * 0.02)
            os._exit(0)
        alive.add(pid)
        had.add(pid)
    pid, status = os.wait()
    alive.discard(pid)
    if status != 0:
        hit.append((pid, status))
with open('/tmp/strangers', 'w') as out:
    json.dump({'had': sorted(had), 'hit': hit}, out)
'''


def _set(path, value):
    with open(path, 'w') as out:
        out.write(value)


@contextlib.contextmanager
def _few_pids():
    """While it lasts pids come round again after some 250. Where pid_max is the machine's (before Linux 6.14), by hand."""
    release = tuple(int(part) for part in os.uname().release.split('-')[0].split('.')[:2])
    if release >= (6, 14):
        path = '/proc/sys/kernel/pid_max'
        with open(path) as value:
            before = value.read()
        _set(path, '550')
        try:
            yield
        finally:
            _set(path, before)
        return
    over = threading.Event()

    def rewind():
        while not over.wait(0.02):
            _set('/proc/sys/kernel/ns_last_pid', '300')

    thread = threading.Thread(target=rewind)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _wrap_around(w, config, kind):
    names = [f'd{number}' for number in range(6)]
    for name in names:
        w.conf('david', name, 'dir=/\nstart=sleep 1001\n')
    w.script('/srv/strangers', STRANGERS)
    w.start(config)
    world.wait_for(lambda: len(w.find('sleep 1001')) == len(names), 'all run')
    had = set()
    with _few_pids():
        strangers = w.background('eve', '/srv/strangers', kind)
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for name in names:
                    for request in (('kill', '9', name), ('start', name), ('kill', '15', name), ('restart', name), ('stop', name),
                                    ('start', name)):
                        client.ask('david', client.request(*request))
                    had |= {row.pid for row in w.rows('david').values()}
                assert strangers.poll() is None, 'the strangers were ended'
            strangers.send_signal(signal.SIGUSR1)
            strangers.wait(20)
        finally:
            strangers.kill()
    with open('/tmp/strangers') as said:
        said = json.load(said)
    assert had & set(said['had']), f'no pid came round: {len(had)} of daemons, {len(said["had"])} of strangers'
    assert not said['hit'], f'strangers were hit: {said["hit"]}'
    w.dmctl('david', 'stop', 'all').exits(0)
    assert not w.find('sleep 1001')


def pids_come_round(w):
    """Where pids come round after some hundred, start, stop, kill and restart never hit a stranger who has got a daemon's pid.
    Claim: no-stranger-signalled."""
    _wrap_around(w, LIMITS, 'leaders')


def pids_come_round_without_cgroup(w):
    """The same with cgroup=no, for strangers who do not lead a group of that very number. Claim: no-stranger-signalled."""
    _wrap_around(w, LIMITS + NO_CGROUP, 'plain')


# As old daemons do it: twice forked, a session of its own, the first process gone or staying. Tries to leave its cgroup, too.
FLEEING = """#!/usr/bin/python3
import glob, os, signal, sys, time
stays = sys.argv[1] == 'stays'
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    os.chdir('/')
    fled = []
    for path in glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True) + glob.glob('/sys/fs/cgroup/**/tasks', recursive=True):
        try:
            with open(path, 'w') as procs:
                procs.write(str(os.getpid()))
            fled.append(path)
        except OSError:
            pass
    with open('/tmp/fled.new', 'w') as out:
        out.write(repr(fled))
    os.rename('/tmp/fled.new', '/tmp/fled')
    os.execvp('sleep', ['sleep', '1002'])
if stays:
    time.sleep(1001)
while not os.path.exists('/tmp/fled'):
    time.sleep(0.01)
time.sleep(0.3)
"""


def _flee(w, how):
    w.script('/srv/flee', FLEEING)
    w.conf('david', 'web', f'dir=/\nstart=exec /srv/flee {how}\n')
    w.start()
    world.wait_for(lambda: w.find('sleep 1002'), 'it has fled')
    with open('/tmp/fled') as said:
        assert said.read() == '[]', 'it left its cgroup'


def forks_twice(w):
    """A process that forked twice and made sessions of its own cannot leave its daemon's cgroup, and `stop` ends it with its daemon.
    Claim: daemon-tree."""
    _flee(w, 'stays')
    second = w.find('sleep 1002')[0]
    assert os.getsid(second) not in (w.up('david/web'), 0) and w.status_of(second)['PPid'] != str(w.up('david/web'))
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 1002') and not w.find('/srv/flee')


def goes_to_the_background(w):
    """A daemon that goes to the background is told how it ended; what it left there is killed before it is started again, and by
    `stop`. Claim: daemon-tree."""
    _flee(w, 'goes')
    first = w.find('sleep 1002')[0]
    w.wait_note('david/web', 'stay in the foreground')
    world.wait_for(lambda: not w.alive(first), 'what it left is killed')
    second = world.wait_for(lambda: w.find('sleep 1002'), 'it is started again')
    assert len(second) == 1
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 1002') and not w.find('/srv/flee')


# Forks as fast as it can, each process in a session of its own and deaf to all that can be ignored; as many die as are born.
# It keeps its own number small, so that it is the manager that is tried and not the machine.
BOMB = """#!/usr/bin/python3
import os, random, resource, signal, time
resource.setrlimit(resource.RLIMIT_NPROC, (120, 120))
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
first = os.getpid()
while True:
    try:
        if os.fork() == 0:
            os.setsid()
        else:
            time.sleep(0.005)
    except OSError:
        time.sleep(0.05)
        if os.getpid() != first and random.random() < 0.2:
            os._exit(0)
"""
BOMBER = 1077  # the kernel counts a uid's processes on the whole machine: one that no other world has


def _bomb(w, bomb, config):
    for path, line in (('/etc/passwd', f'bomber:x:{BOMBER}:{BOMBER}::/home/bomber:/bin/sh\n'), ('/etc/group', f'bomber:x:{BOMBER}:\n')):
        with open(path, 'a') as out:
            out.write(line)
    w.script('/srv/bomb', bomb)
    w.folder('/home/bomber', 'bomber', 0o700)
    w.conf('bomber', 'bomb', 'dir=/\nautostart=no\nstop_timeout=300ms\nstart=exec /srv/bomb\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start('[runs_as]\nbomber\namy\n' + config)
    radio = w.up('amy/radio')
    for _ in range(2):
        w.dmctl('bomber', 'start', 'bomb').exits(0)
        world.wait_for(lambda: len(w.find('/srv/bomb')) > 60, 'it has as many processes as it may')
        w.dmctl('amy', 'restart', 'radio').exits(0)
        assert w.up('amy/radio') != radio
        w.dmctl('bomber', 'stop', 'bomb').exits(0)
        assert not w.find('/srv/bomb')
    w.dmctl('bomber', 'start', 'bomb').exits(0)
    assert w.stop() == 0
    assert not w.find('/srv/bomb')


def fork_bomb(w):
    """A daemon that forks without end, every process in its own session and deaf to signals, holds up nobody; stop, and the end of
    the manager, leave none of it. Claim: daemon-tree."""
    _bomb(w, BOMB, '')


def fork_bomb_without_cgroup(w):
    """The same with cgroup=no, as long as it stays in its process group. Claim: daemon-tree."""
    _bomb(w, BOMB.replace('os.setsid()', 'pass'), NO_CGROUP)
