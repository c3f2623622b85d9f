"""Daemons that do their worst: that flee, multiply, or leave their pid to a stranger."""
import contextlib
import os
import subprocess

import attack
import client
import world

LIMITS = '[runs_as]\ndavid: www-data\namy\n[limits]\ndavid: starts=10000\n'
NO_CGROUP = '[settings]\ncgroup=no\n'

HERE = os.path.dirname(os.path.abspath(__file__))
with open(HERE + '/thief.c') as source:  # at once: inside of the world this folder may not be there
    THIEF = source.read()
# In which ways a daemon loses its pid: by whom and how it is ended.
ENDS = (('kill', '9'), ('kill', '15'), ('stop',), ('restart',), ('stop',), ('kill', '9'))


@contextlib.contextmanager
def _few_pids():
    """While it lasts the world has few pids, where its limit is its own and not the machine's (Linux 6.14)."""
    path = '/proc/sys/kernel/pid_max'
    if tuple(int(part) for part in os.uname().release.split('-')[0].split('.')[:2]) < (6, 14):
        yield
        return
    with open(path) as value:
        before = value.read()
    try:
        _set(path, '1000')
        yield
    finally:
        _set(path, before)


def _set(path, value):
    with open(path, 'w') as out:
        out.write(value)


def _thief(pid, how):
    """A stranger who takes this pid as soon as it is free."""
    thief = subprocess.Popen(['/srv/thief', str(pid), '1005', how], stdout=subprocess.PIPE, text=True)
    assert thief.stdout.readline() == 'ready\n'
    return thief


def _pids_come_round(w, config, how):
    names = [f'd{number}' for number in range(len(ENDS))]
    for name in names:
        w.conf('david', name, 'dir=/\nstop_timeout=200ms\nstart=sleep 1001\n')
    attack.build(THIEF, '/srv/thief')
    w.start(config)
    taken = 0
    with _few_pids():
        for _ in range(2):
            for name in names:
                w.dmctl('david', 'start', name).exits(0)
            thieves = []
            for name, end in zip(names, ENDS):
                thieves.append(_thief(w.up(f'david/{name}'), how))
                client.ask('david', client.request(*end, name, flags='no-wait'))
            said = [thief.communicate(timeout=world.PATIENCE)[0].strip() for thief in thieves]
            assert 'hit' not in said, said
            taken += said.count('unharmed')
            for name in names:
                client.ask('david', client.request('stop', name))
    assert taken >= len(ENDS), f'only {taken} pids were taken'
    w.dmctl('david', 'stop', 'all').exits(0)
    assert not w.find('sleep 1001')


def pids_come_round(w):
    """Where a stranger gets a daemon's pid the moment it is free, and leads a session and group of that number, no start, stop,
    restart or kill ever hits him. Claim: no-stranger-signalled."""
    _pids_come_round(w, LIMITS, 'leads')


def pids_come_round_without_cgroup(w):
    """The same with cgroup=no, for a stranger who does not lead a group of that very number. Claim: no-stranger-signalled."""
    _pids_come_round(w, LIMITS + NO_CGROUP, 'follows')


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
