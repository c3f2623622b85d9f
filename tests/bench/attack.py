"""Control under attack: how long bob's `dmctl status` takes while amy holds 1,000 connections, restarts a daemon in a loop and has
another that logs as fast as it can. Ours alone: peers have no users of whom one could attack the other."""
import subprocess
import time

import watch
import world

CONNECTIONS = 1000
FLOOD = 'while :; do /usr/local/bin/lines 1000000; done'
# Opens what it can and opens again what was closed; sends half a request on each.
HOLDER = f"""
import socket, time
held = []
while True:
    while len(held) < {CONNECTIONS}:
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect('/home/amy/.daemon-manager/command.sock')
            one.send(b'\\0')
        except OSError:
            one.close()
            break
        held.append(one)
    alive = []
    for one in held:
        try:
            if one.recv(1) == b'':
                one.close()
                continue
        except BlockingIOError:
            pass
        except OSError:
            one.close()
            continue
        alive.append(one)
    held = alive
    time.sleep(0.002)
"""
RESTARTER = f'while :; do {world.DMCTL} restart victim; done'


def _bobs(here, count):
    ids, samples = here.ids('bob'), []
    for _ in range(count):
        begin = time.monotonic_ns()
        done = subprocess.run([world.DMCTL, 'status'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd='/', env={'PATH': world.PATH, 'HOME': here.home('bob'), 'USER': 'bob'}, **ids)
        samples.append((time.monotonic_ns() - begin) / 1000)
        assert done.returncode == 0 and 'bob/his' in done.stdout, done.stdout
        time.sleep(0.005)
    return watch.summary(samples)


def run(here, order):
    """Microseconds of bob's status, in peace and under attack."""
    count = 100 if order['quick'] else 500
    here.conf('amy', 'victim', 'dir=/\nstart=sleep 1000\n')
    here.conf('amy', 'flood', f'dir=/\nstart={FLOOD}\noutput=log\nautostart=no\nlog_size=10M\n')
    here.conf('bob', 'his', 'dir=/\nstart=sleep 1001\n')
    here.start('[runs_as]\namy\nbob\n')
    here.up('amy/victim')
    here.up('bob/his')
    found = {'peace_us': _bobs(here, count)}
    here.dmctl('amy', 'start', 'flood').exits(0)
    attackers = [here.background('amy', '/bin/sh', '-c', RESTARTER + ' >/dev/null 2>&1'),
                 here.background('amy', '/usr/bin/python3', '-c', HOLDER)]
    time.sleep(1)
    found['attack_us'] = _bobs(here, count)
    assert all(each.poll() is None for each in attackers), 'an attacker gave up'
    return {'figures': found, 'reasons': {}}
