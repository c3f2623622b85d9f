"""Nobody looks into the manager's processes: not by ptrace, not by what they have open, not by a core."""
import os
import re
import signal
import subprocess

import attack
import world
from sanitized import not_sanitized

CONFIG = '[runs_as]\ndavid: www-data\n[limits]\ndavid: starts=1000\n'
# What the owner meets of his, and the target; and the monitor's child on its way, which has the user's uid before its exec.
OWNERS = {'dm-scan', 'dm-listen', 'dm-log', 'dm-run', 'daemon-manager'}
TARGETS = {'dm-run', 'daemon-manager'}


def _confs(w):
    # Static, so that it opens nothing itself: what it has beyond 0, 1 and 2 is a helper's.
    attack.build('#include <unistd.h>\nint main(void) { return pause(); }\n', '/srv/daemon')
    for number in range(3):
        w.conf('david', f'own{number}', 'dir=/\noutput=log\nexport SECRET=1\nstop_timeout=1s\nstart=/srv/daemon\n')
        w.conf('david', f'www{number}', 'dir=/\nuser=www-data\nexport SECRET=1\nstop_timeout=1s\nstart=/srv/daemon\n')


class _Attackers:
    """Users who try to get hold of every process of the manager's with this program."""

    def __init__(self, w, source, users):
        program = attack.build(source, '/srv/attacker')
        self.running = {user: w.background(user, program) for user in users}
        for attacker in self.running.values():
            assert attacker.stdout.readline() == 'ready\n'

    def end(self):
        """What each got ({user: lines}), and which processes he tried ({user: {name: how often}})."""
        world.write('/tmp/enough', '')
        taken, tried = {}, {}
        for user, attacker in self.running.items():
            said, _ = attacker.communicate(timeout=world.PATIENCE)
            assert attacker.returncode == 0, said
            taken[user] = re.findall(r'^taken (.*)$', said, re.M)
            tried[user] = {name: int(count) for name, count in re.findall(r'^(?:denied|killed) (\S+) ([1-9]\d*)$', said, re.M)}
        os.unlink('/tmp/enough')
        return taken, tried


def _work(w):
    """Starts managers, daemons and their helpers, so that each stage of each is there to be met. Not all succeeds under attack."""
    for _ in range(5):
        w.start(CONFIG)
        w.dmctl('root', 'restart', 'all', '--no-wait')
        w.kill_loggers()
        w.dmctl('root', '-u', 'david', 'rescan')
        w.reload(CONFIG)
        # (A daemon that its owner traces ends when he lets it go.)
        assert w.stop() == 0 or 'some processes do not end even by SIGKILL' in w.log()


def _nothing_taken(w, source, met):
    """Attacks while the manager works, until each of `met` was tried; nothing may be taken. Then all is well."""
    tried = {user: set() for user in met}
    def all_met():
        attackers = _Attackers(w, source, met)
        _work(w)
        taken, names = attackers.end()
        assert not any(taken.values()), taken
        for user in met:
            tried[user].update(names[user])
        return all(tried[user] >= met[user] for user in met)
    world.wait_for(all_met, lambda: f'each was tried: {tried}')
    w.start(CONFIG)
    w.dmctl('root', 'restart', 'all').exits(0)


@not_sanitized('its helpers may be read')
def helpers_at_every_stage(w):
    """While the manager works hard its owner and target stop, trace, read and rob every process they see, from its fork on: they get
    nothing but the daemons that are theirs. Claim: helpers-untraceable."""
    _confs(w)
    _nothing_taken(w, 'tracer.c', {'david': OWNERS | {'dm-worker'}, 'www-data': TARGETS | {'dm-worker'}})


@not_sanitized('its helpers may be read')
def helpers_that_die(w):
    """An owner and a target who kill every helper that is theirs, to take what it has open while it dies, when the kernel no longer knows
    its memory, get none of it. Claim: helpers-untraceable."""
    _confs(w)
    _nothing_taken(w, 'killer.c', {'www-data': TARGETS})
    w.stop()
    _nothing_taken(w, 'killer.c', {'david': {'dm-scan', 'dm-log'}})


CARELESS = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **argv) {
  char path[256];
  if (count < 1) return 1;
  usleep(20000);
  snprintf(path, sizeof path, "/usr/libexec/daemon-manager/%s.real", argv[0]);
  return execv(path, argv);
}
"""


@not_sanitized('its helpers may be read')
def careless_helpers_are_caught(w):
    """The same attackers do catch a helper that anybody may read: so the attacks are some. Claim: helpers-untraceable."""
    _confs(w)
    all_ways = ('ptrace', 'pidfd_getfd', 'its map', 'its memory')
    tries = [('tracer.c', 'david', 'dm-scan', all_ways), ('killer.c', 'david', 'dm-scan', ('3',)),
             ('tracer.c', 'www-data', 'dm-run', all_ways), ('killer.c', 'www-data', 'dm-run', ('3',))]
    with attack.instead(CARELESS, 'dm-scan', 'dm-run'):
        for source, user, helper, ways in tries:
            attackers = _Attackers(w, source, [user])
            _work(w)
            taken = attackers.end()[0][user]
            for way in ways:
                assert [line for line in taken if line.startswith(f'{helper} {way}')], (user, helper, way, taken)


# Ends a process by a signal and returns its wait status, read from the zombie while its parent sleeps.
def _flags(w, pid, number):
    parent = int(w.status_of(pid)['PPid'])
    os.kill(parent, signal.SIGSTOP)
    try:
        os.kill(pid, number)
        world.wait_for(lambda: w.status_of(pid).get('State', '').startswith('Z'), f'{pid} is dead')
        return int(attack.read(f'/proc/{pid}/stat').split()[-1])
    finally:
        os.kill(parent, signal.SIGCONT)


# What the kernel may have left of the manager's processes where it ran.
def _cores():
    return [f'{folder}/{name}' for folder in ('/', world.RUN_DIR, world.RUN_DIR + '/empty', '/tmp') if os.path.isdir(folder)
            for name in os.listdir(folder) if name.startswith('core') or name.endswith('.core')]


@not_sanitized('its runtime handles signals')
def no_core_of_the_worker(w):
    """Whatever signal ends the worker or a dm-log, and though the manager was started with cores unlimited, none is dumped.
    Claim: no-cores."""
    _confs(w)
    real, world.MANAGER = world.MANAGER, w.script('/srv/cores', f'#!/bin/sh\nulimit -c unlimited\nexec {world.MANAGER}\n')
    try:
        w.start(CONFIG)
    finally:
        world.MANAGER = real
    w.up('david/own0')
    _machine_dumps()
    def logger():
        return next((pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']), None)
    for number in (signal.SIGSEGV, signal.SIGABRT):
        for find in (w.worker, lambda: world.wait_for(logger, 'there is a dm-log')):
            pid = find()
            assert find != w.worker or 'Max core file size        0                    0 ' in attack.read(f'/proc/{pid}/limits')
            status = _flags(w, pid, number)
            assert status == number, f'{status}: dumped, or not killed'
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    assert _cores() == []


@not_sanitized('its runtime handles cores')
def no_core_of_the_monitor(w):
    """Whatever signal ends the monitor, also one that was upgraded, and though its cores are unlimited, none is dumped.
    Claim: no-cores."""
    _confs(w)
    _machine_dumps()
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGBUS):
        w.start(CONFIG)
        pid = w.manager.pid
        w.run('root', 'prlimit', '--pid', str(pid), '--core=unlimited').exits(0)
        if number == signal.SIGABRT:
            w.run('root', world.MANAGER, '--upgrade', timeout=world.PATIENCE).exits(0)
        assert 'Max core file size        unlimited' in attack.read(f'/proc/{pid}/limits')
        os.kill(pid, number)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number and not os.WCOREDUMP(status), status
    assert _cores() == []


# On a machine whose cores go into the working directory one really comes, of a process that may be dumped.
def _machine_dumps():
    pattern = attack.read('/proc/sys/kernel/core_pattern')
    if pattern.startswith(('/', '|')) or not pattern.strip():
        return
    os.makedirs('/srv/dump', exist_ok=True)
    victim = subprocess.Popen(['sh', '-c', 'ulimit -c unlimited; exec sleep 1000'], cwd='/srv/dump')
    world.wait_for(lambda: os.readlink(f'/proc/{victim.pid}/exe').endswith('sleep'), 'it runs')
    os.kill(victim.pid, signal.SIGSEGV)
    _, status = os.waitpid(victim.pid, 0)
    assert os.WCOREDUMP(status) and os.listdir('/srv/dump'), 'this machine dumps nothing: the test proves nothing'
