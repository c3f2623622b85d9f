"""The life of a daemon: start, crash, cooldown, stop, restart, and nothing left over."""
import os
import signal
import time

import world


def _one(w, text, name='web', owner='david', config=None):
    w.conf(owner, name, text)
    w.start(config)
    return w.up(f'{owner}/{name}')


def _crash(w, name='david/web'):
    """Kills the main process with -9; returns its pid and when it was seen dead."""
    pid = w.up(name)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.alive(pid), 'the killed process is dead')
    return pid, time.monotonic()


def starts_by_itself(w):
    """A daemon with autostart starts with the manager; one with autostart=no waits for `start`."""
    w.conf('david', 'lazy', 'dir=/\nautostart=no\nstart=sleep 1002\n')
    _one(w, 'dir=/\nstart=sleep 1001\n')
    assert w.row('david/lazy').state == 'stopped'
    w.dmctl('david', 'start', 'lazy').exits(0)
    assert w.row('david/lazy').state == 'running'


def comes_back_after_a_crash(w):
    """A daemon that was killed with -9 comes back after a cooldown of 1 s."""
    _one(w, 'dir=/\nstart=sleep 1001\n')
    pid, died = _crash(w)
    world.wait_for(lambda: w.find('sleep 1001') not in ([], [pid]), 'it comes back')
    again = w.up('david/web')
    assert time.monotonic() - died > 0.7, 'it came back too soon'
    assert again != pid and w.row('david/web').respawns == 1


def cooldown_is_told(w):
    """While a daemon waits for its next start, status tells why it ended and how long it waits."""
    _one(w, 'dir=/\ncooldown=1h\nstart=sleep 1001\n')
    _crash(w)
    w.wait_state('david/web', 'cooldown')
    w.wait_note('david/web', 'SIGKILL', 'next start in')


def cooldown_grows(w):
    """A second crash soon after the first is followed by a cooldown of 2 s."""
    _one(w, 'dir=/\nstart=sleep 1001\n')
    _crash(w)
    w.up('david/web')
    _, died = _crash(w)
    w.up('david/web')
    assert time.monotonic() - died > 1.7, 'it came back too soon'
    assert w.row('david/web').respawns == 2


def ends_by_itself(w):
    """A daemon that exits comes back too, whatever its code, and status shows the code."""
    _one(w, 'dir=/\nstart=sleep 0.3; exit 42\n')
    w.wait_state('david/web', 'cooldown')
    w.wait_note('david/web', '42')
    world.wait_for(lambda: w.row('david/web').respawns >= 1, 'it is back')


def start_cuts_the_cooldown(w):
    """`start` by hand cuts a cooldown short."""
    w.conf('david', 'web', 'dir=/\ncooldown=1h\nstart=sleep 1001\n')
    w.start()
    for _ in range(2):
        _crash(w)
        w.wait_state('david/web', 'cooldown')
        w.dmctl('david', 'start', 'web').exits(0)
        assert w.row('david/web').state == 'running'


def stop_ends_the_cooldown(w):
    """`stop` ends a cooldown: the daemon stays down."""
    _one(w, 'dir=/\ncooldown=4s\nstart=sleep 1001\n')
    _, died = _crash(w)
    w.wait_state('david/web', 'cooldown')
    w.dmctl('david', 'stop', 'web').exits(0)
    world.wait_for(lambda: time.monotonic() > died + 5, 'the cooldown is over')
    assert w.row('david/web').state == 'stopped' and not w.find('sleep 1001')


def stop_and_start(w):
    """A stopped daemon stays stopped, shows no pid, and starts again when it is told to."""
    pid = _one(w, 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.alive(pid)
    assert w.row('david/web').state == 'stopped' and w.row('david/web').pid == 0
    w.dmctl('david', 'start', 'web').exits(0)
    assert w.up('david/web') != pid


def stop_takes_the_whole_tree(w):
    """stop leaves no process of a tree that forked twice and made sessions of its own."""
    w.script('/srv/tree', '#!/bin/sh\n(setsid sh -c "sleep 1002 & (setsid sleep 1003 &) ; sleep 1004" &)\nsleep 1001 &\nexec sleep 1005\n')
    _one(w, 'dir=/\nstart=/srv/tree\n')
    for number in range(1001, 1006):
        world.wait_for(lambda: w.find(f'sleep {number}'), f'sleep {number} runs')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 100'), w.find('sleep 100')


def shell_without_exec(w):
    """A shell without exec leaves nothing behind: neither the shell nor its child."""
    _one(w, 'dir=/\nstart=true; sleep 1001; true\n')
    world.wait_for(lambda: w.find('sleep 1001'), 'the child runs')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 1001')


def what_a_crash_leaves_is_killed(w):
    """What is left of a crashed daemon's tree is killed before its successor starts."""
    w.script('/srv/master', '#!/bin/sh\nset -- /tmp/left.*\n[ -e "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null && touch /tmp/overlap\n'
                            'setsid sleep 1002 &\necho $! > /tmp/left.$$\nexec sleep 1001\n')
    _one(w, 'dir=/\nstart=/srv/master\n')
    first = world.wait_for(lambda: w.find('sleep 1002'), 'the child runs')
    _crash(w)
    w.dmctl('david', 'start', 'web').exits(0)
    second = world.wait_for(lambda: w.find('sleep 1002'), 'a new child runs')
    assert len(second) == 1 and second != first
    assert not os.path.exists('/tmp/overlap')


def master_goes_first(w):
    """stop_signal goes to the main process first: its children live until it has gone, so that it can finish its requests."""
    w.script('/srv/master', '#!/usr/bin/python3 -u\n'
             'import os, signal, sys, time\n'
             'child = os.fork()\n'
             'if child == 0:\n'
             '    signal.signal(signal.SIGQUIT, lambda *_: (open("/tmp/child-signalled", "w"), os._exit(0)))\n'
             '    time.sleep(1001)\n'
             'def finish(*_):\n'
             '    time.sleep(0.7)\n'
             '    open("/tmp/finished", "w").write("early" if os.path.exists("/tmp/child-signalled") else "children lived")\n'
             '    os._exit(0)\n'
             'signal.signal(signal.SIGQUIT, finish)\n'
             'open("/tmp/ready", "w")\n'
             'while True: time.sleep(1)\n')
    _one(w, 'dir=/\nstop_signal=QUIT\nstart=/srv/master\n')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'the master is ready')
    w.dmctl('david', 'stop', 'web').exits(0)
    with open('/tmp/finished') as finished:
        assert finished.read() == 'children lived'
    assert os.path.exists('/tmp/child-signalled'), 'the child was killed without stop_signal'
    assert not w.find('/srv/master')


def stop_signal_of_the_conf(w):
    """stop_signal of the conf is the one that comes."""
    w.script('/srv/one', '#!/bin/sh\ntrap "echo INT > /tmp/got; exit" INT\ntrap "echo TERM > /tmp/got; exit" TERM\ntouch /tmp/ready\n'
                         'while :; do sleep 0.1; done\n')
    _one(w, 'dir=/\nstop_signal=SIGINT\nstart=/srv/one\n')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'the traps are set')
    w.dmctl('david', 'stop', 'web').exits(0)
    with open('/tmp/got') as got:
        assert got.read() == 'INT\n'


def killed_at_stop_timeout(w):
    """One that ignores stop_signal is killed at stop_timeout, and so is all of its tree."""
    w.script('/srv/stubborn', '#!/bin/sh\ntrap "" TERM\nsleep 1001 &\ntouch /tmp/ready\nwhile :; do sleep 0.2; done\n')
    pid = _one(w, 'dir=/\nstop_timeout=1s\nstart=/srv/stubborn\n')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'it ignores TERM')
    begin = time.monotonic()
    w.dmctl('david', 'stop', 'web').exits(0)
    assert time.monotonic() - begin > 0.8, 'it was killed before stop_timeout'
    assert not w.alive(pid) and not w.find('sleep 1001') and not w.find('/srv/stubborn')


def stopping_is_shown(w):
    """While it stops, status says stopping; stop --no-wait comes back at once."""
    w.script('/srv/stubborn', '#!/bin/sh\ntrap "" TERM\ntouch /tmp/ready\nwhile :; do sleep 0.2; done\n')
    _one(w, 'dir=/\nstop_timeout=3s\nstart=/srv/stubborn\n')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'it ignores TERM')
    w.dmctl('david', 'stop', 'web', '--no-wait').exits(0)
    assert w.row('david/web').state == 'stopping'
    w.wait_state('david/web', 'stopped')


def restart_reads_the_conf(w):
    """restart waits for the old one to be gone, reads the conf again, and starts exactly once."""
    w.script('/srv/counted', '#!/bin/sh\necho "$1" >> /tmp/starts\nexec sleep 1001\n')
    os.close(os.open('/tmp/starts', os.O_CREAT | os.O_WRONLY, 0o666))
    os.chmod('/tmp/starts', 0o666)
    pid = _one(w, 'dir=/\nstart=/srv/counted old\n')
    world.wait_for(lambda: os.path.getsize('/tmp/starts'), 'the first start')
    w.conf('david', 'web', 'dir=/tmp\nstart=/srv/counted new\n')
    w.dmctl('david', 'restart', 'web').exits(0)
    assert not w.alive(pid)
    again = w.up('david/web')
    world.wait_for(lambda: open('/tmp/starts').read() == 'old\nnew\n', 'both starts, each once')
    assert os.readlink(f'/proc/{again}/cwd') == '/tmp'
    assert len(w.find('sleep 1001')) == 1


def restart_of_a_stopped_one(w):
    """restart starts a stopped daemon."""
    w.conf('david', 'web', 'dir=/\nautostart=no\nstart=sleep 1001\n')
    w.start()
    w.wait_state('david/web', 'stopped')
    w.dmctl('david', 'restart', 'web').exits(0)
    w.up('david/web')


def start_twice(w):
    """start of a running daemon changes nothing and is no error."""
    pid = _one(w, 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'start', 'web').exits(0)
    assert w.up('david/web') == pid and len(w.find('sleep 1001')) == 1


def stop_twice(w):
    """stop of a stopped daemon changes nothing and is no error."""
    _one(w, 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'stop', 'web').exits(0)
    w.dmctl('david', 'stop', 'web').exits(0)


def restart_as_another(w):
    """When user= of one that runs has changed, restart runs it as the new one, whatever else is asked for meanwhile."""
    config = '[runs_as]\ndavid: www-data\n'
    w.conf('david', 'web', 'dir=/\nuser=www-data\nstop=true\nstart=sleep 1001\n')
    w.conf('david', 'app', 'dir=/\nstart=sleep 1002\n')
    w.start(config)
    for user in 'david', 'www-data', 'david':
        w.up('david/web')
        w.conf('david', 'web', f'dir=/\nuser={user}\nstop=true\nstart=sleep 1001\n')
        w.dmctl('david', 'rescan').exits(0)
        w.dmctl('david', 'restart', 'app').exits(0)
        w.dmctl('david', 'restart', 'web').exits(0)
        pid = w.up('david/web')
        assert w.status_of(pid)['Uid'].split()[0] == str(w.ids(user)['user']), user


def without_cgroups(w):
    """Without cgroups the process group is followed: shell, child and all of a crash go."""
    _one(w, 'dir=/\nstart=sleep 1002 & true; sleep 1001; true\n', config='[runs_as]\ndavid\n[settings]\ncgroup=no\n')
    world.wait_for(lambda: w.find('sleep 1001') and w.find('sleep 1002'), 'both children run')
    left = w.find('sleep 1002')
    _crash(w)
    w.dmctl('david', 'start', 'web').exits(0)
    world.wait_for(lambda: w.find('sleep 1002') and w.find('sleep 1002') != left, 'new children run')
    assert not set(left) & set(w.find('sleep 1002'))
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 100')


def sigterm_stops_everything(w):
    """SIGTERM to the manager stops every daemon in its own way, and leaves no process."""
    for i in range(5):
        w.conf('david', f'd{i}', f'dir=/\nstart=true; sleep 100{i}; true\n')
    w.conf('amy', 'radio', 'dir=/\noutput=log\nstart=sleep 1005\n')
    w.start()
    for i in range(5):
        w.up(f'david/d{i}')
    w.up('amy/radio')
    code = w.stop()
    assert code == 0, code
    def left():  # the last dm-log writes out what it has, and follows
        return [w.command_of(pid) for pid in w.pids() if pid not in (1, os.getpid()) and w.alive(pid)]
    # (One that is ending has no command line any more.)
    assert not [command for command in left() if command[:1] not in (['dm-log'], [''], [])], left()
    world.wait_for(lambda: not left(), left)


def sigterm_kills_at_shutdown_timeout(w):
    """At shutdown_timeout the manager kills what has not ended, and ends."""
    w.script('/srv/stubborn', '#!/bin/sh\ntrap "" TERM\ntouch /tmp/ready\nwhile :; do sleep 0.2; done\n')
    _one(w, 'dir=/\nstop_timeout=1h\nstart=/srv/stubborn\n',
         config='[runs_as]\ndavid\n[settings]\nshutdown_timeout=1s\n')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'it ignores TERM')
    begin = time.monotonic()
    w.stop()
    assert time.monotonic() - begin < 20
    w.gone('/srv/stubborn')


def a_worker_that_dies(w):
    """When the worker is killed a fresh one takes over, and no daemon notices."""
    w.conf('david', 'lazy', 'dir=/\nautostart=no\nstart=sleep 1002\n')
    pid = _one(w, 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'start', 'lazy').exits(0)
    w.dmctl('david', 'stop', 'lazy').exits(0)
    _crash(w)
    pid = w.up('david/web')
    old = w.worker()
    os.kill(old, signal.SIGKILL)
    world.wait_for(lambda: not w.alive(old), 'the worker is dead')
    row = w.row('david/web')
    assert (row.pid, row.respawns) == (pid, 1), row
    assert w.row('david/lazy').state == 'stopped'
    assert w.worker() != old
    w.dmctl('david', 'restart', 'web').exits(0)


def a_thousand_at_once(w):
    """A thousand daemons that end at once come back, and neither monitor nor worker hangs."""
    config = '[runs_as]\ndavid\n[limits]\ndavid: daemons=1000, starts=10000\n'
    for i in range(1000):
        w.conf('david', f'd{i}', 'dir=/\nstart=sleep 1001\n')
    w.start(config)
    world.wait_for(lambda: sum(row.state == 'running' for row in w.rows().values()) == 1000, 'all of them run')
    for pid in w.find('sleep 1001'):
        os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: sum(row.respawns >= 1 and row.state == 'running' for row in w.rows().values()) == 1000,
                   lambda: f'all are back: {[row for row in w.rows().values() if row.respawns < 1 or row.state != "running"][:5]}')
    w.dmctl('david', 'stop', 'all').exits(0)
    assert not w.find('sleep 1001')


def a_worker_that_does_not_read(w):
    """A worker that reads nothing blocks nobody: it is replaced, and daemons live on or come back."""
    for i in range(1000):
        w.conf('amy', f'd{i}', 'dir=/\nstart=sleep 1002\n')
    pid = _one(w, 'dir=/\nstart=sleep 1001\n', config='[runs_as]\ndavid\namy\n[limits]\namy: daemons=1000, starts=10000\n')
    world.wait_for(lambda: len(w.find('sleep 1002')) == 1000, 'all of them run')
    old = w.worker()
    os.kill(old, signal.SIGSTOP)
    for victim in w.find('sleep 1002'):
        os.kill(victim, signal.SIGKILL)
    world.wait_for(lambda: not w.alive(old), 'the worker was replaced')
    assert w.up('david/web') == pid
    world.wait_for(lambda: len(w.find('sleep 1002')) == 1000, 'all of them are back')
