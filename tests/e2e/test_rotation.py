"""Rotated logs: nothing of what a daemon prints is lost or shown twice, whoever is killed, and whoever reads meanwhile."""
import contextlib
import os
import re
import signal

import world

LOGS = '/home/david/.daemon-manager/logs'
# Numbered lines, many to a rotation, until there is /tmp/enough.
COUNTER = '''#!/usr/bin/python3
import os, time
number = 0
while not os.path.exists('/tmp/enough'):
    for number in range(number + 1, number + 51):
        os.write(1, b'line %d.\\n' % number)
    time.sleep(0.002)
os.write(1, b'the last was %d\\n' % number)
time.sleep(1001)
'''


def _start(w, more):
    w.script('/srv/count', COUNTER)
    w.conf('david', 'web', f'dir=/\nstart=/srv/count\noutput=log\n{more}')
    w.start()
    return w.up('david/web')


def _logs():
    return os.listdir(LOGS) if os.path.isdir(LOGS) else []


def _numbers(text):
    return [int(number) for number in re.findall(r'line (\d+)\.', text)]


def _end(w):
    world.write('/tmp/enough', '')
    world.wait_for(lambda: 'the last was' in w.dmctl('david', 'log', 'web', '-n', '9').out, 'the last line')


def rotated_under_fire(w):
    """While dm-log, the worker and the monitor are killed and an upgrade is made, a log that is rotated every few lines has every line
    once, in its old logs, compressed and not, and in itself; `dmctl log -n` shows them all in their order."""
    pid = _start(w, 'log_size=16K\nlog_keep=1000\nlog_compress=yes\n')
    for round in range(6):
        for kill in ('dm-log', 'worker', 'monitor', 'upgrade'):
            before = len(_logs())
            if kill == 'dm-log':
                for logger in [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]:
                    os.kill(logger, signal.SIGKILL)
            elif kill == 'worker':
                os.kill(w.worker(), signal.SIGKILL)
            elif kill == 'monitor':
                w.manager.kill()
                w.manager.wait()
                w.start()
            else:
                w.run('root', world.MANAGER, '--upgrade').exits(0)
            world.wait_for(lambda: len(_logs()) > before + 2, lambda: f'it is rotated: {_logs()}')
    assert w.up('david/web') == pid
    _end(w)
    shown = w.dmctl('david', 'log', 'web', '-n', '100000000').out
    numbers = _numbers(shown)
    assert numbers == list(range(1, len(numbers) + 1)), [pair for pair in zip(numbers, numbers[1:]) if pair[1] != pair[0] + 1][:5]
    assert f'the last was {len(numbers)}\n' in shown
    world.wait_for(lambda: all(re.fullmatch(r'web\.log(\.\d+\.gz)?', name) for name in _logs()), lambda: f'all are compressed: {_logs()}')
    again = w.dmctl('david', 'log', 'web', '-n', '100000000').out
    assert again == shown
    some = w.dmctl('david', 'log', 'web', '-n', '2000').out.splitlines()
    assert some == shown.splitlines()[-2000:]


def followed_over_rotations(w):
    """`dmctl log -f` shows each line once and in its order while the log is rotated under it, and over a restart of the daemon."""
    _start(w, 'log_size=4K\nlog_keep=1000\n')
    follow = w.background('david', world.DMCTL, 'log', 'web', '-n', '100000000', '-f')
    world.wait_for(lambda: len(_logs()) > 30, 'it is rotated')
    world.write('/tmp/enough', '')
    text = ''
    os.set_blocking(follow.stdout.fileno(), False)

    def ended():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            while block := os.read(follow.stdout.fileno(), 65536):
                text += block.decode()
        return 'the last was' in text
    world.wait_for(ended, lambda: f'all is shown: {text[-300:]}')
    numbers = _numbers(text)
    assert numbers == list(range(1, len(numbers) + 1)), [pair for pair in zip(numbers, numbers[1:]) if pair[1] != pair[0] + 1][:5]
    os.unlink('/tmp/enough')
    text = ''
    w.dmctl('david', 'restart', 'web').exits(0)
    world.write('/tmp/enough', '')
    world.wait_for(ended, lambda: f'the next run is shown: {text[-300:]}')
    numbers = _numbers(text)
    assert numbers == list(range(1, len(numbers) + 1)) and 'started, pid' in text
    follow.kill()
    follow.wait()


def moved_by_others(w):
    """A log that a logrotate of the owner's moves away is begun anew within a second, and nothing is lost."""
    _start(w, 'log_size=0\n')
    for number in (1, 2, 3):
        size = world.wait_for(lambda: os.path.exists(f'{LOGS}/web.log') and os.stat(f'{LOGS}/web.log').st_size, 'it is written')
        assert size
        os.rename(f'{LOGS}/web.log', f'{LOGS}/moved.{number}')
        world.wait_for(lambda: os.path.exists(f'{LOGS}/web.log'), 'it is begun anew')
    _end(w)
    text = ''
    for name in ('moved.1', 'moved.2', 'moved.3', 'web.log'):
        with open(f'{LOGS}/{name}') as log:
            text += log.read()
    numbers = _numbers(text)
    assert numbers == list(range(1, len(numbers) + 1))


def stamps(w):
    """log_stamp=local writes the time of the machine's zone with its offset, log_stamp=none writes lines as they came; the next start
    is soon enough for a change."""
    if os.path.lexists('/etc/localtime'):
        os.unlink('/etc/localtime')
    os.symlink('/usr/share/zoneinfo/Asia/Kolkata', '/etc/localtime')
    w.conf('david', 'web', 'dir=/\nstart=echo here I am; exec sleep 1001\noutput=log\nlog_stamp=local\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: re.search(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 here I am$', w.dmctl('david', 'log', 'web').out, re.M),
                   lambda: f'stamped: {w.dmctl("david", "log", "web").out}')
    w.conf('david', 'web', 'dir=/\nstart=echo here I am; exec sleep 1001\noutput=log\nlog_stamp=none\n')
    w.dmctl('david', 'restart', 'web').exits(0)
    world.wait_for(lambda: re.search(r'^here I am$', w.dmctl('david', 'log', 'web').out, re.M), 'not stamped')
