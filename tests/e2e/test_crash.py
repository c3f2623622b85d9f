"""Worker or monitor killed at any moment: daemons run on, each once, and nothing that was known of them is lost."""
import contextlib
import os
import random
import re
import signal
import subprocess
import time

import world
import wreck


COUNTED = '#!/bin/sh\necho "$1" >> /tmp/starts\nexec sleep "$2"\n'
STUBBORN = '#!/bin/sh\ntrap "" TERM\necho "$1" >> /tmp/starts\ntouch "/tmp/ready.$1.$$"\nwhile :; do sleep 0.1; done\n'


def _scripts(w):
    """Programs that note each of their starts in /tmp/starts."""
    w.script('/srv/counted', COUNTED)
    w.script('/srv/stubborn', STUBBORN)
    w.script('/srv/told', '#!/bin/sh\ntrap "exit 42" USR1\ntouch /tmp/ready.told\nwhile :; do sleep 0.05; done\n')
    os.close(os.open('/tmp/starts', os.O_CREAT | os.O_WRONLY, 0o666))
    os.chmod('/tmp/starts', 0o666)


def _starts():
    with open('/tmp/starts') as starts:
        return starts.read().split()


def _ready(name):
    world.wait_for(lambda: [entry for entry in os.listdir('/tmp') if entry.startswith(f'ready.{name}')], f'{name} ignores TERM')


def _ms(text):
    """A time as `dmctl status` prints it, in ms: 1.5s, 2m03s, 950ms …; '-' is 0."""
    units = {'ms': 1, 's': 1000, 'm': 60_000, 'h': 3_600_000, 'd': 86_400_000}
    return sum(float(number) * units[unit] for number, unit in re.findall(r'([\d.]+)(ms|s|m|h|d)', text))


def _crash(w, name):
    pid = w.up(name)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.alive(pid), 'the killed process is dead')
    return pid


def _one_each(w, numbers):
    """Each of these `sleep N` runs exactly once, and stays so."""
    def once():
        return all(len(w.find(f'sleep {number}')) == 1 for number in numbers)
    world.wait_for(once, lambda: f'each once: {[(number, w.find(f"sleep {number}")) for number in numbers]}')
    time.sleep(0.3)  # a second one would come now
    assert once(), [(number, w.find(f'sleep {number}')) for number in numbers]


# ---- the worker

def worker_killed(w):
    """A new worker knows all that the old one did: states, pids, respawns, total times, and that what was stopped stays stopped."""
    for i in range(3):
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep 100{i}\n')
    w.conf('david', 'lazy', 'dir=/\nautostart=no\nstart=sleep 1003\n')
    w.start()
    pids = wreck.pids_of(w, ['david/d0', 'david/d1'])
    _crash(w, 'david/d2')
    world.wait_for(lambda: w.rows()['david/d2'].respawns == 1, 'd2 is back')
    w.dmctl('david', 'stop', 'd1').exits(0)
    w.dmctl('david', 'start', 'lazy').exits(0)
    before = w.rows()
    old = wreck.kill_worker(w)
    after = w.rows()
    assert w.worker() != old
    assert [(row.id, row.state, row.pid, row.respawns) for row in after.values()] == \
        [(row.id, row.state, row.pid, row.respawns) for row in before.values()], (before, after)
    assert after['david/d0'].pid == pids['david/d0'] and after['david/d1'].state == 'stopped'
    for name, row in before.items():
        assert _ms(after[name].total) >= _ms(row.total) and _ms(after[name].uptime) >= _ms(row.uptime), (row, after[name])


def worker_killed_in_a_cooldown(w):
    """A cooldown goes on where it was: the new worker waits for what is left of it, and the next one is longer still."""
    w.conf('david', 'web', 'dir=/\ncooldown=8s..1h\nstart=sleep 1001\n')
    w.start()
    _crash(w, 'david/web')
    died = time.monotonic()
    w.wait_state('david/web', 'cooldown')
    world.wait_for(lambda: time.monotonic() > died + 1, 'a part of the cooldown of 8 s is over')
    wreck.kill_worker(w)
    row = w.row('david/web')
    assert row.state == 'cooldown' and row.respawns == 0 and _ms(row.cooldown) <= 7100, row
    w.up('david/web')
    assert time.monotonic() - died > 7.5, 'the cooldown was cut short'
    assert w.row('david/web').respawns == 1
    _crash(w, 'david/web')
    row = w.wait_state('david/web', 'cooldown')
    assert _ms(row.cooldown) > 8000, f'the next is 16 s: {row}'


def worker_killed_in_a_stop(w):
    """A stop in progress is finished by the new worker, at the stop_timeout of the old one; the one who asked gets his answer from it."""
    _scripts(w)
    w.conf('david', 'web', 'dir=/\nstop_timeout=4s\nstart=/srv/stubborn web\n')
    w.start()
    pid = w.up('david/web')
    _ready('web')
    asker = w.background('david', world.DMCTL, 'stop', 'web')
    w.wait_state('david/web', 'stopping')
    wreck.kill_worker(w)
    assert w.row('david/web').state == 'stopping'
    said, _ = asker.communicate(timeout=world.PATIENCE)
    assert asker.returncode == 0 and 'stopped' in said, (asker.returncode, said)
    w.wait_state('david/web', 'stopped')
    assert not w.alive(pid) and not w.find('/srv/stubborn') and _starts() == ['web']


def worker_killed_in_a_restart(w):
    """A restart in progress is finished by the new worker: it starts again, exactly once, as its conf now says."""
    _scripts(w)
    w.conf('david', 'web', 'dir=/\nstop_timeout=4s\nstart=/srv/stubborn web\n')
    w.start()
    pid = w.up('david/web')
    _ready('web')
    w.conf('david', 'web', 'dir=/\nstart=/srv/counted again 1001\n')
    asker = w.background('david', world.DMCTL, 'restart', 'web')
    w.wait_state('david/web', 'stopping')
    wreck.kill_worker(w)
    said, _ = asker.communicate(timeout=world.PATIENCE)
    assert asker.returncode == 1 and 'try again' in said, (asker.returncode, said)
    world.wait_for(lambda: w.find('sleep 1001'), 'it runs again')
    assert not w.alive(pid)
    w.up('david/web')
    wreck.kill_worker(w)
    _one_each(w, [1001])
    assert _starts() == ['web', 'again'], _starts()


def worker_killed_as_it_starts_many(w):
    """A worker killed while it starts hundreds of daemons leaves each of them running once."""
    _scripts(w)
    count = 300
    for i in range(count):
        w.conf('david', f'd{i}', f'dir=/\nstart=/srv/counted d{i} {2000 + i}\n')
    w.start('[runs_as]\ndavid\n[limits]\n*: daemons=1000, starts=1000\n')
    for _ in range(3):
        wreck.kill_worker(w)
    world.wait_for(lambda: sum(row.state == 'running' for row in w.rows().values()) == count, 'all run')
    world.wait_for(lambda: len(_starts()) >= count, 'all have noted their start')
    starts = _starts()
    assert sorted(starts) == sorted(f'd{i}' for i in range(count)), \
        f'{len(starts)} starts, twice: {[name for name in set(starts) if starts.count(name) > 1]}'


def none_is_refused_meanwhile(w):
    """Of those who ask while the worker is killed again and again, each gets an answer or is told to try again."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    asker = wreck.Asker()
    for _ in range(4):
        asker.wait_more()
        wreck.kill_worker(w)
    asker.wait_more()
    wreck.none_refused(asker.end())
    assert w.up('david/web') == pid


def worker_that_dies_again_and_again(w):
    """A worker that dies again and again is started with growing pauses, which the log tells; daemons run on, and then it serves."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    for i in range(5):
        wreck.kill_worker(w)
        w.wait_log(*(['the next worker starts in'] if i > 1 else []))
    world.wait_for(lambda: w.log().count('was killed by signal 9') == 5, 'each death is in the log')
    pauses = [int(text) for text in re.findall(r'the next worker starts in (\d+) ms', w.log())]
    assert len(pauses) >= 3 and pauses == sorted(pauses) and pauses[-1] >= 2 * pauses[0], (pauses, w.log())
    assert pauses[0] <= 50, pauses
    assert 'ms. To see what the last one said, if anything: look above' in w.log() and 'last words' not in w.log(), w.log()
    assert w.up('david/web') == pid


def worker_that_dies_now_and_then(w):
    """A worker that dies after some seconds of good service has a successor at once, however often."""
    w.start()
    for _ in range(4):
        world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
        time.sleep(6)  # not a wait: the time of good service
        wreck.kill_worker(w)
    world.wait_for(lambda: w.log().count('was killed by signal 9') == 4 and w.dmctl('root', 'version').code == 0, 'each death is in the log')
    assert 'next worker starts' not in w.log(), w.log()


def worker_that_cannot_serve(w):
    """A worker program that ends at once is tried with growing pauses; as soon as the real one is there again it serves."""
    path = f'{world.HELPERS}/dm-worker'
    with open(path, 'rb') as file:
        real = file.read()
    with open(f'{world.HELPERS}/dm-listen', 'rb') as file:
        other = file.read()
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    try:
        wreck.write_in_place(path, other)
        w.start(ready=False)
        world.wait_for(lambda: w.log().count('the next worker starts in') >= 4, lambda: f'four pauses:\n{w.log()}')
        pauses = [int(text) for text in re.findall(r'the next worker starts in (\d+) ms', w.log())]
        assert pauses == sorted(pauses) and pauses[-1] > pauses[0], pauses
        assert w.manager.poll() is None, 'the monitor ended with it'
    finally:
        wreck.write_in_place(path, real)
    w.up('david/web')


# ---- the monitor

def monitor_killed(w):
    """Daemons of a killed monitor run on with the same pids; the next takes over each, none twice, with all that was known."""
    numbers = range(1000, 1006)
    for i in numbers:
        w.conf('david' if i % 2 else 'amy', f'd{i}', f'dir=/\noutput={"log" if i % 3 == 0 else "discard"}\nstart=sleep {i}\n')
    w.conf('david', 'lazy', 'dir=/\nautostart=no\nstart=sleep 1010\n')
    w.conf('david', 'down', 'dir=/\nstart=sleep 1011\n')
    w.start()
    names = [('david/' if i % 2 else 'amy/') + f'd{i}' for i in numbers]
    wreck.pids_of(w, names + ['david/down'])
    _crash(w, names[0])
    world.wait_for(lambda: w.rows()[names[0]].respawns == 1, 'it is back')
    w.dmctl('david', 'stop', 'down').exits(0)
    w.dmctl('david', 'start', 'lazy').exits(0)
    before = w.rows()
    wreck.kill_manager(w)
    for row in before.values():
        assert row.pid == 0 or w.alive(row.pid), row
    w.start()
    after = w.rows()
    for name, row in before.items():
        now = after[name]
        assert (now.state, now.pid, now.respawns) == (row.state, row.pid, row.respawns), (row, now)
        assert _ms(now.total) >= _ms(row.total), (row, now)
    _one_each(w, numbers)
    assert 'took over 7' in w.log(), w.log()
    w.dmctl('root', 'stop', 'all').exits(0)
    assert not w.find('sleep 10')


def monitor_killed_many_times(w):
    """Ten monitors killed in a row, some before they served, leave every daemon as it was."""
    numbers = range(1000, 1020)
    for i in numbers:
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep {i}\n')
    w.start()
    pids = wreck.pids_of(w, [f'david/d{i}' for i in numbers])
    for i in range(10):
        wreck.kill_manager(w)
        w.start(ready=i % 3 == 0)
        if i % 3 == 1:
            time.sleep(0.01 * i)
    wreck.kill_manager(w)
    w.start()
    assert wreck.pids_of(w, pids) == pids
    _one_each(w, numbers)


def died_meanwhile(w):
    """A daemon that died while there was no monitor is noticed by the next one, its end is shown as unknown, and it comes back."""
    w.conf('david', 'web', 'dir=/\ncooldown=8s\nstart=sleep 1001\n')
    w.conf('david', 'other', 'dir=/\nstart=sleep 1002\n')
    w.start()
    web, other = w.up('david/web'), w.up('david/other')
    wreck.kill_manager(w)
    os.kill(web, signal.SIGKILL)
    world.wait_for(lambda: not w.status_of(web), 'it is gone')
    w.start()
    w.wait_note('david/web', 'unknown')
    again = w.up('david/web')
    assert again != web and w.row('david/web').respawns == 1
    assert w.up('david/other') == other
    _one_each(w, [1001, 1002])


def pid_used_again(w):
    """A stranger who has got the pid of a daemon that died meanwhile is not taken for it, and never signalled."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    wreck.kill_manager(w)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.status_of(pid), 'it is gone')
    stranger = wreck.take_pid(w, 'david', pid, 'setsid', 'sleep', '1999')  # even the owner's own
    w.start()
    assert w.up('david/web') != pid
    w.dmctl('david', 'restart', 'web').exits(0)
    w.dmctl('david', 'stop', 'web').exits(0)
    assert w.stop() == 0
    assert stranger.poll() is None, f'the stranger was ended: {stranger.returncode}'


@contextlib.contextmanager
def _no_cgroups():
    """While it lasts the world has no cgroup v2."""
    place = world.cgroup_mount()
    if place is not None:
        world.mount('-t', 'tmpfs', 'none', place)
    try:
        yield
    finally:
        if place is not None:
            subprocess.run(['umount', '-l', place], check=True)


def pid_used_again_without_cgroups(w):
    """The same on a machine without cgroups: neither the stranger nor the group that he leads is signalled."""
    with _no_cgroups():
        _pid_used_again_by_a_leader(w, '[runs_as]\ndavid\n')


def pid_used_again_with_cgroup_no(w):
    """The same with cgroup=no."""
    _pid_used_again_by_a_leader(w, '[runs_as]\ndavid\n[settings]\ncgroup=no\n')


def _pid_used_again_by_a_leader(w, config):
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start(config)
    pid = w.up('david/web')
    wreck.kill_manager(w)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.status_of(pid), 'it is gone')
    w.script('/srv/leader', '#!/usr/bin/python3\nimport os, time\nos.setpgid(0, 0)\nopen("/tmp/leads", "w")\ntime.sleep(1999)\n')
    stranger = wreck.take_pid(w, 'eve', pid, '/srv/leader')
    world.wait_for(lambda: os.path.exists('/tmp/leads'), 'the stranger leads a group of his own')
    w.start(config)
    assert w.up('david/web') != pid
    w.dmctl('david', 'stop', 'web').exits(0)
    assert w.stop() == 0
    assert stranger.poll() is None, f'the stranger was ended: {stranger.returncode}'


AUTO, NO_CGROUP = '[runs_as]\ndavid\n', '[settings]\ncgroup=no\n'


def grouped_only_from_now_on(w):
    """One that was started in a cgroup keeps it until its next start, though the next manager has cgroup=no: stop leaves nothing of it."""
    _regrouped(w, AUTO, AUTO + NO_CGROUP)
    w.gone('sleep 1008', 20)


def in_a_cgroup_only_from_now_on(w):
    """One that was started with cgroup=no is stopped with its process group by a manager that has cgroups."""
    _regrouped(w, AUTO + NO_CGROUP, AUTO)


def cgroups_that_are_gone(w):
    """One that was started in a cgroup is stopped with its process group by a manager that finds none."""
    _regrouped(w, AUTO, AUTO, after=_no_cgroups)


def cgroups_that_have_come(w):
    """One that was started where there were no cgroups is stopped with its process group by a manager that finds some."""
    _regrouped(w, AUTO, AUTO, before=_no_cgroups)


def _regrouped(w, first, second, before=contextlib.nullcontext, after=contextlib.nullcontext):
    w.script('/srv/plain', '#!/bin/sh\nsleep 1001 & sleep 1002 & sleep 1003\n')
    w.script('/srv/deaf', '#!/bin/sh\n(trap "" TERM; exec sleep 1004) &\nexec sleep 1005\n')
    w.script('/srv/crashes', '#!/bin/sh\n(trap "" TERM; exec sleep 1006) &\nexec sleep 1007\n')
    w.script('/srv/leaves', '#!/bin/sh\nsetsid sleep 1008 &\nexec sleep 1009\n')
    names = ('plain', 'deaf', 'crashes', 'leaves')
    numbers = (1001, 1002, 1003, 1004, 1005, 1006, 1007, 1009)
    for name in names:
        w.conf('david', name, f'dir=/\nstop_timeout=1s\nstart=/srv/{name}\n')
    with before():
        w.start(first)
        pids = wreck.pids_of(w, [f'david/{name}' for name in names])
        world.wait_for(lambda: all(w.find(f'sleep {number}') for number in (*numbers, 1008)), 'all have their children')
        assert w.stop(signal.SIGUSR1) == 0
    with after():
        w.start(second)
        assert wreck.pids_of(w, pids) == pids
        os.kill(pids['david/crashes'], signal.SIGKILL)
        world.wait_for(lambda: w.up('david/crashes') != pids['david/crashes'], 'it comes back')
        for name in names:
            w.dmctl('david', 'stop', name, timeout=20).exits(0)
        assert not [number for number in numbers if w.find(f'sleep {number}')]
        w.dmctl('david', 'start', 'plain').exits(0)
        w.dmctl('david', 'restart', 'plain', timeout=20).exits(0)
        assert w.stop() == 0


def cooldown_over_meanwhile(w):
    """One whose cooldown ended while there was no manager is started by the next one when its conf is read, which counts as a respawn,
    and nobody is told that it is not started again."""
    w.conf('david', 'web', 'dir=/\ncooldown=500ms\nstart=sleep 1001\n')
    w.start()
    _crash(w, 'david/web')
    w.wait_state('david/web', 'cooldown')
    wreck.kill_manager(w)
    time.sleep(0.6)
    w.start()
    w.up('david/web')
    assert 'not started again' not in w.log(), w.log()
    assert w.row('david/web').respawns == 1, w.rows()


def adopted_exit_code(w):
    """The exit code of a daemon that was taken over is reported as it was."""
    _scripts(w)
    w.conf('david', 'web', 'dir=/\ncooldown=1h\nstart=/srv/told\n')
    w.start()
    pid = w.up('david/web')
    _ready('told')
    wreck.kill_manager(w)
    w.start()
    assert w.up('david/web') == pid
    os.kill(pid, signal.SIGUSR1)
    w.wait_note('david/web', 'exit code 42')
    w.dmctl('david', 'start', 'web').exits(0)
    assert w.up('david/web') != pid


def adopted_signal(w):
    """The signal that ended a daemon that was taken over is reported as it was."""
    w.conf('david', 'web', 'dir=/\ncooldown=1h\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    wreck.kill_manager(w)
    w.start()
    os.kill(pid, signal.SIGSEGV)
    w.wait_note('david/web', 'SIGSEGV')
    w.dmctl('david', 'start', 'web').exits(0)
    assert w.up('david/web') != pid


def adopted_tree(w):
    """A daemon that was taken over is stopped with all of its tree, though the tree is no longer below the monitor."""
    w.script('/srv/tree', '#!/bin/sh\n(setsid sh -c "sleep 1002 & (setsid sleep 1003 &) ; sleep 1004" &)\nsleep 1001 &\nexec sleep 1005\n')
    w.conf('david', 'web', 'dir=/\nstart=/srv/tree\n')
    w.start()
    for number in range(1001, 1006):
        world.wait_for(lambda: w.find(f'sleep {number}'), f'sleep {number} runs')
    wreck.kill_manager(w)
    w.start()
    w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 100'), w.find('sleep 100')


def monitor_killed_in_a_stop(w):
    """A stop in progress is finished by the next monitor; the one who asked is told that there is none, and it stays stopped."""
    _scripts(w)
    # It tells that it was asked: before that only the worker, which dies with the monitor, knows of the stop.
    w.script('/srv/stubborn', STUBBORN.replace('trap "" TERM', 'trap "touch /tmp/asked" TERM'))
    w.conf('david', 'web', 'dir=/\nstop_timeout=4s\nstart=/srv/stubborn web\n')
    w.start()
    pid = w.up('david/web')
    _ready('web')
    asker = w.background('david', world.DMCTL, 'stop', 'web')
    world.wait_for(lambda: os.path.exists('/tmp/asked'), 'it was asked')
    wreck.kill_manager(w)
    said, _ = asker.communicate(timeout=world.PATIENCE)
    assert asker.returncode == 7 and 'not running' in said, (asker.returncode, said)
    w.start()
    w.wait_state('david/web', 'stopped')
    assert not w.alive(pid) and not w.find('/srv/stubborn')
    wreck.kill_manager(w)
    w.start()
    assert w.row('david/web').state == 'stopped' and _starts() == ['web']


def monitor_killed_as_a_tree_drains(w):
    """When the main process had gone and the rest was ending, the next monitor ends the rest at stop_timeout, and no sooner starts it anew."""
    w.script('/srv/tree', '#!/bin/sh\ntrap "exit 0" TERM\n(trap "" TERM; touch /tmp/ready.child; while :; do sleep 0.1; done) &\n'
                          'while :; do sleep 0.05; done\n')
    w.conf('david', 'web', 'dir=/\nstop_timeout=3s\nstart=/srv/tree\n')
    w.start()
    pid = w.up('david/web')
    _ready('child')
    w.dmctl('david', 'restart', 'web', '--no-wait').exits(0)
    world.wait_for(lambda: not w.alive(pid), 'the main process is gone')
    wreck.kill_manager(w)
    left = w.find('/srv/tree')
    assert left, 'the rest should be there still'
    w.start()
    again = w.up('david/web')
    assert again != pid and not set(left) & set(w.find('/srv/tree'))


def monitor_killed_as_a_group_drains(w):
    """The same with cgroup=no, where it is the process group that has to be empty first."""
    _group_drains(w, '[runs_as]\ndavid\n[settings]\ncgroup=no\n')


def monitor_killed_as_a_group_drains_without_cgroups(w):
    """The same on a machine without cgroups."""
    with _no_cgroups():
        _group_drains(w, '[runs_as]\ndavid\n')


def _group_drains(w, config):
    w.script('/srv/tree', '#!/bin/sh\ntrap "exit 0" TERM\n(trap "" TERM; touch /tmp/ready.child; while :; do sleep 0.1; done) &\n'
                          'while :; do sleep 0.05; done\n')
    w.conf('david', 'web', 'dir=/\nstop_timeout=3s\nstart=/srv/tree\n')
    w.start(config)
    pid = w.up('david/web')
    _ready('child')
    w.dmctl('david', 'restart', 'web', '--no-wait').exits(0)
    world.wait_for(lambda: not w.alive(pid), 'the main process is gone')
    wreck.kill_manager(w)
    left = w.find('/srv/tree')
    assert left, 'the rest should be there still'
    w.start(config)
    again = w.up('david/web')
    assert again != pid and not set(left) & set(w.find('/srv/tree')), (left, w.find('/srv/tree'))


def monitor_killed_in_a_cooldown(w):
    """A cooldown goes on under the next monitor, and neither starts early nor is forgotten."""
    w.conf('david', 'web', 'dir=/\ncooldown=7s\nstart=sleep 1001\n')
    w.start()
    _crash(w, 'david/web')
    died = time.monotonic()
    w.wait_state('david/web', 'cooldown')
    wreck.kill_manager(w)
    w.start()
    row = w.row('david/web')
    assert (row.state, row.respawns) in (('cooldown', 0), ('running', 1)), row
    w.up('david/web')
    assert time.monotonic() - died > 6.5, 'the cooldown was cut short'
    assert w.row('david/web').respawns == 1
    _one_each(w, [1001])


def monitor_killed_as_it_starts_daemons(w):
    """A monitor killed at random moments of hundreds of starts and restarts leaves each daemon running exactly once."""
    dice = random.Random(7)
    count = 150
    for i in range(count):
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep {2000 + i}\n')
    config = '[runs_as]\ndavid\n[limits]\n*: daemons=1000, starts=1000\n'
    w.start(config, ready=False)
    for _ in range(6):
        time.sleep(dice.random() * 0.4)
        wreck.kill_manager(w)
        w.start()
        answer = w.dmctl('david', 'restart', 'all', '--no-wait')
        wreck.none_refused([(answer.code, answer.text)])  # he may have met the last breath of the old worker
    wreck.kill_manager(w)
    w.start()
    world.wait_for(lambda: sum(row.state == 'running' for row in w.rows().values()) == count,
                   lambda: f'all run: {[row for row in w.rows().values() if row.state != "running"][:9]}')
    _one_each(w, range(2000, 2000 + count))


def both_killed(w):
    """Worker and monitor killed at once: the next takes over all the same."""
    _scripts(w)
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'stubborn', 'dir=/\nstop_timeout=2s\nstart=/srv/stubborn it\n')
    w.conf('david', 'down', 'dir=/\nstart=sleep 1002\n')
    w.start()
    pids = wreck.pids_of(w, ['david/web', 'david/stubborn', 'david/down'])
    _ready('it')
    w.dmctl('david', 'stop', 'down').exits(0)
    w.dmctl('david', 'stop', 'stubborn', '--no-wait').exits(0)
    os.kill(w.worker(), signal.SIGKILL)
    wreck.kill_manager(w)
    w.start()
    assert w.up('david/web') == pids['david/web'] and w.row('david/down').state == 'stopped'
    w.wait_state('david/stubborn', 'stopped')
    assert _starts() == ['it']


def left_behind_helpers_end(w):
    """Of a killed monitor neither worker nor helper is left once the next one serves."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    old = w.worker()
    logger = world.wait_for(lambda: w.find('dm-log'), 'there is a dm-log')
    wreck.kill_manager(w)
    world.wait_for(lambda: not w.alive(old), 'the worker ended with its monitor')
    w.start()
    world.wait_for(lambda: not set(logger) & set(w.find('dm-log')) and len(w.find('dm-log')) == 1, lambda: f'one dm-log: {w.find("dm-log")}')


def asked_while_there_is_none(w):
    """A dmctl that comes while the monitor is being replaced waits for the next one and is served by it."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    for _ in range(3):
        wreck.kill_manager(w)
        asker = w.background('david', world.DMCTL, 'status', 'web')
        w.start()
        said, _ = asker.communicate(timeout=world.PATIENCE)
        assert asker.returncode == 0 and str(pid) in said, (asker.returncode, said)


# ---- the state file

def _torn(w, change, numbers=range(1000, 1006)):
    """Daemons run, the monitor is killed, `change` spoils its table, the next one starts. Returns {number: pid before}."""
    for i in numbers:
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep {i}\n')
    w.start()
    pids = {i: w.up(f'david/d{i}') for i in numbers}
    wreck.kill_manager(w)
    table = wreck.Table()
    change(table, pids)
    table.save()
    said = len(w.log())
    w.start()
    for i in numbers:
        w.up(f'david/d{i}')
    _one_each(w, numbers)
    assert w.manager.poll() is None
    return pids, w.log()[said:]


def torn_slots(w):
    """Random bytes in some places of the table: those are refused and said, the others taken over, and no daemon runs twice."""
    def spoil(table, pids):
        for i in (1001, 1004):
            table.spoil(table.slot_of(pids[i]), i)
    pids, log = _torn(w, spoil)
    for i in (1000, 1002, 1003, 1005):
        assert w.up(f'david/d{i}') == pids[i], i
    assert f'{world.RUN_DIR}/state: 2 damaged places were refused' in log.splitlines(), log


def torn_pids(w):
    """Records whose pid or identity is another's are not believed: that other is not signalled, and the daemon runs once."""
    victim = []
    def spoil(table, pids):
        victim.append(w.background('eve', 'sleep', '1999'))
        table.put(table.at(table.slot_of(pids[1001])) + wreck.PID_AT, victim[0].pid.to_bytes(4, 'little'))
        table.put(table.at(table.slot_of(pids[1002])) + wreck.IDENTITY_AT, (12345).to_bytes(8, 'little'))
        table.put(table.at(table.slot_of(pids[1003])) + wreck.PID_AT, (1).to_bytes(4, 'little'))
        table.put(table.at(table.slot_of(pids[1004])) + wreck.PID_AT, w.manager_pid_of_test.to_bytes(4, 'little'))
    w.manager_pid_of_test = os.getpid()
    pids, _ = _torn(w, spoil)
    assert w.up('david/d1000') == pids[1000]
    assert victim[0].poll() is None, 'a stranger was signalled'


def torn_memos(w):
    """Random bytes in what the worker keeps of some daemons: they are judged by the worker, which neither dies of it nor forgets the rest."""
    def spoil(table, pids):
        for i in (1001, 1004):
            table.put(table.at(table.slot_of(pids[i])) + wreck.MEMO_AT, random.Random(i).randbytes(wreck.MEMO_SIZE))
    pids, log = _torn(w, spoil)
    for i in (1000, 1002, 1003, 1005):
        assert w.up(f'david/d{i}') == pids[i], i
    assert 'the worker was killed' not in log and 'the worker exited' not in log, log


def torn_header(w):
    """Random bytes in the head of the table, or in parts of it: it is mended and said, and all that was in the table is taken over."""
    for at, size in ((0, wreck.HEADER_SIZE), (0, 4), (8, 8), (16, 8), (24, 36), (64, 4)):
        pids, log = _torn(w, lambda table, _: table.put(at, random.Random(3).randbytes(size)))
        assert {i: w.up(f'david/d{i}') for i in pids} == pids, (at, log)
        assert at == 64 or f'{world.RUN_DIR}/state: its head was damaged, and is mended' in log.splitlines(), log
        assert 'took over 6 running daemons; 0 had ended while nobody looked' in log.splitlines(), log
        assert w.stop() == 0
        w.reset()


def truncated_table(w):
    """Of a table that was cut short the places that are whole are taken over, and how many are lost is said; no daemon runs twice."""
    kept = []
    def cut(table, pids):
        kept[:] = [i for i in pids if table.slot_of(pids[i]) < 3]
        del table.bytes[wreck.HEADER_SIZE + 3 * table.slot_size + 17:]
    pids, log = _torn(w, cut)
    assert len(kept) == 3 and [i for i in pids if w.up(f'david/d{i}') == pids[i]] == kept, (kept, log)
    for line in (f'{world.RUN_DIR}/state was cut short: 3 places are lost', 'took over 3 running daemons; 0 had ended while nobody looked'):
        assert line in log.splitlines(), log
    assert world.cgroup_mount() is None or '3 daemons without a sound record are ended, and started anew' in log.splitlines(), log


def empty_table(w):
    """An empty state file: what ran is ended where it can be found, and said, and starts anew; no daemon runs twice."""
    pids, log = _torn(w, lambda table, _: table.bytes.clear())
    assert not [i for i in pids if w.up(f'david/d{i}') == pids[i]], log
    assert world.cgroup_mount() is None or '6 daemons without a sound record are ended, and started anew' in log.splitlines(), log


def table_of_another_boot(w):
    """A table of another boot is not believed, and said; the stranger whose pid it holds is not signalled."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    wreck.kill_manager(w)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.status_of(pid), 'it is gone')
    stranger = wreck.take_pid(w, 'eve', pid, 'sleep', '1999')
    table = wreck.Table()
    table.put(24, b'00000000-0000-0000-0000-000000000000')
    table.save()
    said = len(w.log())
    w.start()
    w.up('david/web')
    _one_each(w, [1001])
    assert f'{world.RUN_DIR}/state is not a table of this version and boot; it was made anew' in w.log()[said:].splitlines(), w.log()[said:]
    assert w.stop() == 0 and stranger.poll() is None


def fuzzed_tables(w):
    """Of thirty tables with random bytes in random places none ends the monitor or its worker, and no daemon runs twice."""
    numbers = range(1000, 1004)
    for i in numbers:
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep {i}\n')
    dice = random.Random(11)
    w.start()
    for _ in range(30):
        w.dmctl('david', 'start', 'all')  # a wish may have been hit
        for i in numbers:
            w.up(f'david/d{i}')
        wreck.kill_manager(w)
        table = wreck.Table()
        for _ in range(dice.randrange(1, 20)):
            at = dice.randrange(wreck.HEADER_SIZE, table.at(6))
            table.put(at, dice.randbytes(dice.choice((1, 4, 8))))
        table.save()
        w.start()
    w.dmctl('david', 'start', 'all')
    _one_each(w, numbers)
    assert 'the worker exited' not in w.log() and 'the worker was killed' not in w.log(), w.log()
