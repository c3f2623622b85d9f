"""Rotated logs: nothing of what a daemon prints is lost or shown twice, whoever is killed, and whoever reads meanwhile."""
import contextlib
import os
import re
import signal

import counting
import world

LOGS = '/home/david/.daemon-manager/logs'


def _logs():
    return os.listdir(LOGS) if os.path.isdir(LOGS) else []


def rotated_under_fire(w):
    """While dm-log, the worker and the monitor are killed and an upgrade is made, a log that is rotated every few lines has every line
    once, in its old logs, compressed and not, and in itself; `dmctl log -n` shows them all in their order."""
    pid = counting.start(w, 'output=log\nlog_size=16K\nlog_keep=1000\nlog_compress=yes\n')
    for round in range(6):
        for kill in ('dm-log', 'worker', 'monitor', 'upgrade'):
            before = len(_logs())
            if kill == 'dm-log':
                w.kill_loggers()
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
    everything = ('david', 'log', 'web', '-n', '100000000')
    counting.end(lambda: w.dmctl(*everything).out)
    shown = w.dmctl(*everything).out
    world.wait_for(lambda: all(re.fullmatch(r'web\.log(\.\d+\.gz)?', name) for name in _logs()), lambda: f'all are compressed: {_logs()}')
    assert w.dmctl(*everything).out == shown
    some = w.dmctl('david', 'log', 'web', '-n', '2000').out.splitlines()
    assert some == shown.splitlines()[-2000:]


def followed_over_rotations(w):
    """`dmctl log -f` shows each line once and in its order while the log is rotated under it, and over a restart of the daemon."""
    counting.start(w, 'output=log\nlog_size=4K\nlog_keep=1000\n')
    follow = w.background('david', world.DMCTL, 'log', 'web', '-n', '100000000', '-f')
    world.wait_for(lambda: len(_logs()) > 30, 'it is rotated')
    text = ''
    os.set_blocking(follow.stdout.fileno(), False)

    def read():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            while block := os.read(follow.stdout.fileno(), 65536):
                text += block.decode()
        return text
    counting.end(read)
    counting.go_on()
    text = ''
    w.dmctl('david', 'restart', 'web').exits(0)
    counting.end(read)
    assert 'started, pid' in text
    follow.kill()
    follow.wait()


def moved_by_others(w):
    """A log that a logrotate of the owner's moves away is begun anew within a second, and nothing is lost."""
    counting.start(w, 'output=log\nlog_size=0\n')
    for number in (1, 2, 3):
        size = world.wait_for(lambda: os.path.exists(f'{LOGS}/web.log') and os.stat(f'{LOGS}/web.log').st_size, 'it is written')
        assert size
        os.rename(f'{LOGS}/web.log', f'{LOGS}/moved.{number}')
        world.wait_for(lambda: os.path.exists(f'{LOGS}/web.log'), 'it is begun anew')

    def whole():
        text = ''
        for name in ('moved.1', 'moved.2', 'moved.3', 'web.log'):
            with open(f'{LOGS}/{name}') as log:
                text += log.read()
        return text
    counting.end(whole)


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


def hung_up(w):
    """The owner's logrotate moves his logs away and sends SIGHUP to dm-log, by its name: each is begun anew at once, and no line is lost
    or doubled; nobody else can send it."""
    counting.start(w, 'output=log\nlog_size=0\n')
    w.conf('david', 'quiet', 'dir=/\nstart=exec sleep 1001\noutput=log\n')
    w.rescan('david')
    world.wait_for(lambda: {'web.log', 'quiet.log'} <= set(_logs()), lambda: f'logs: {_logs()}')
    for number in range(1, 21):
        os.rename(f'{LOGS}/web.log', f'{LOGS}/moved.{number}')
        os.rename(f'{LOGS}/quiet.log', f'{LOGS}/quiet.{number}')
        w.run('david', 'pkill', '-HUP', '-x', 'dm-log').exits(0)
        world.wait_for(lambda: {'web.log', 'quiet.log'} <= set(_logs()), lambda: f'begun anew: {_logs()}')
    logger = [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]
    assert w.run('amy', 'kill', '-HUP', *map(str, logger)).code == 1

    def whole():
        text = ''
        for name in [f'moved.{number}' for number in range(1, 21)] + ['web.log']:
            with open(f'{LOGS}/{name}') as log:
                text += log.read()
        return text
    counting.end(whole)
    assert [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']] == logger
