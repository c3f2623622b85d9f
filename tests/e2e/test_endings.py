"""What a conf says of the end of a run: restart, success_codes, cooldown, give_up_after and type."""
import os
import signal
import time

import world
import wreck


def _runs(w, name):
    """How often the script of this daemon has run."""
    path = f'/tmp/runs.{name}'
    return os.path.getsize(path) if os.path.exists(path) else 0


def _script(w, name, end):
    """One that counts its runs, and ends as it is told."""
    return w.script(f'/srv/{name}', f'#!/bin/sh\nprintf . >> /tmp/runs.{name}\n{end}\n')


def _conf(w, name, end, lines=''):
    _script(w, name, end)
    w.conf('david', name, f'dir=/\nstart=/srv/{name}\n{lines}')


def _stays(w, name, state, runs):
    """It has come to this state after so many runs, and two looks at what could start it again change nothing."""
    w.wait_state('david/' + name, state)
    w.rescan('david')
    time.sleep(1.2)  # longer than the first cooldown
    row = w.row('david/' + name)
    assert row.state == state and _runs(w, name) == runs, f'{row}: {_runs(w, name)} runs'


def never(w):
    """With restart=never a daemon that ends is done where that was a success, and failed where it was none; status tells how it
    ended, and start begins anew."""
    _conf(w, 'good', 'exit 0', 'restart=never\n')
    _conf(w, 'bad', 'exit 3', 'restart=never\n')
    w.start()
    _stays(w, 'good', 'done', 1)
    _stays(w, 'bad', 'failed', 1)
    w.wait_note('david/bad', 'exit code 3')
    w.dmctl('david', 'status', 'bad').exits(3).says('dmctl start david/bad')
    w.dmctl('david', 'start', 'bad')
    world.wait_for(lambda: _runs(w, 'bad') == 2, 'it has run again')
    w.wait_state('david/bad', 'failed')
    w.dmctl('david', 'stop', 'bad').exits(0)
    w.wait_state('david/bad', 'stopped')


def on_failure(w):
    """With restart=on-failure one that ends well is done, and one that does not, or cannot be started, comes back."""
    _conf(w, 'good', 'exit 0', 'restart=on-failure\n')
    _conf(w, 'bad', 'test -e /tmp/mended || exit 1', 'restart=on-failure\ncooldown=100ms\n')
    w.conf('david', 'nothing', 'dir=/\nstart=/srv/nothing\nrestart=on-failure\ncooldown=100ms\n')
    w.start()
    _stays(w, 'good', 'done', 1)
    world.wait_for(lambda: _runs(w, 'bad') >= 3, 'it comes back again and again')
    world.write('/tmp/mended', '')
    w.wait_state('david/bad', 'done')
    world.wait_for(lambda: w.row('david/nothing').respawns >= 2, 'its start is tried again')


def success_codes(w):
    """success_codes= adds exit codes and signals to what is a success; being killed by any other signal is none."""
    lines = 'restart=on-failure\ncooldown=100ms\nsuccess_codes=3, 75,TERM\n'
    _conf(w, 'three', 'exit 3', lines)
    _conf(w, 'four', 'exit 4', lines)
    _conf(w, 'waits', 'exec sleep 1000', lines)
    w.start()
    w.wait_state('david/three', 'done')
    world.wait_for(lambda: _runs(w, 'four') >= 3, 'exit code 4 is a failure')
    pid = w.up('david/waits')
    os.kill(pid, signal.SIGUSR1)
    world.wait_for(lambda: _runs(w, 'waits') == 2, 'SIGUSR1 is a failure')
    os.kill(w.up('david/waits'), signal.SIGTERM)
    w.wait_state('david/waits', 'done')


def cooldown(w):
    """cooldown=100ms..400ms doubles the pause from the one to the other, and with one time it is always that."""
    _conf(w, 'fast', 'exit 1', 'cooldown=100ms..400ms\n')
    _conf(w, 'same', 'exit 1', 'cooldown=100ms\n')
    _conf(w, 'slow', 'exit 1', 'cooldown=30m..1h\n')
    w.start()
    world.wait_for(lambda: _runs(w, 'same') > 12, 'it does not wait longer')  # of the default pauses only six fit into a minute
    world.wait_for(lambda: _runs(w, 'fast') > 7, 'it waits 400 ms at most')
    assert _runs(w, 'slow') == 1
    w.wait_note('david/slow', 'next start in 29m')
    os.kill(w.worker(), signal.SIGKILL)
    w.wait_note('david/slow', 'next start in')
    assert _runs(w, 'slow') == 1, 'the next worker does not know the long pause'


def give_up(w):
    """give_up_after=3/10m: the third end within ten minutes is the last; it is failed, the log says so, and start tries anew. A new
    worker and a new monitor know it too."""
    _conf(w, 'web', 'exit 1', 'cooldown=100ms\ngive_up_after=3/10m\n')
    _conf(w, 'patient', 'exit 1', 'cooldown=300ms\ngive_up_after=3/500ms\n')
    w.start()
    _stays(w, 'web', 'failed', 3)
    w.wait_log('david/web has ended 3 times within 10m and is given up')
    w.wait_note('given up after it had ended 3 times (give_up_after=)')
    os.kill(w.worker(), signal.SIGKILL)
    _stays(w, 'web', 'failed', 3)
    w.manager.kill()
    w.manager.wait()
    w.start()
    _stays(w, 'web', 'failed', 3)
    w.dmctl('david', 'start', 'web')
    _stays(w, 'web', 'failed', 6)
    assert w.row('david/patient').state != 'failed' and _runs(w, 'patient') > 3, 'its ends were further apart'


def counted_across_workers(w):
    """What counts for give_up_after counts on when the worker is replaced between the ends."""
    _conf(w, 'web', 'exit 1', 'cooldown=1s\ngive_up_after=2/10m\n')
    w.start()
    world.wait_for(lambda: _runs(w, 'web') == 1 and w.row('david/web').state == 'cooldown', 'the first end')
    os.kill(w.worker(), signal.SIGKILL)
    _stays(w, 'web', 'failed', 2)


def task(w):
    """A task runs once and is done; where it fails it is failed, or tried again with restart=on-failure. It runs again when it is
    started, and with the next manager."""
    _conf(w, 'backup', 'exit 0', 'type=task\n')
    _conf(w, 'wrong', 'exit 9', 'type=task\n')
    _conf(w, 'again', f'test $(stat -c %s /tmp/runs.again) -ge 3', 'type=task\nrestart=on-failure\ncooldown=100ms\n')
    _conf(w, 'byhand', 'exit 0', 'type=task\nautostart=no\n')
    w.start()
    _stays(w, 'backup', 'done', 1)
    _stays(w, 'wrong', 'failed', 1)
    notes = w.dmctl('david', 'status').out
    assert 'david/backup:' not in notes and 'david/wrong:' in notes and 'given up' not in notes, notes
    w.wait_state('david/again', 'done')
    assert _runs(w, 'again') == 3
    assert _runs(w, 'byhand') == 0
    w.dmctl('david', 'start', 'byhand').exits(0)
    w.wait_state('david/byhand', 'done')
    w.dmctl('david', 'restart', 'byhand').exits(0)
    world.wait_for(lambda: _runs(w, 'byhand') == 2, 'it has run again')
    w.stop()
    w.start()
    world.wait_for(lambda: _runs(w, 'backup') == 2, 'it runs with the next manager')


def bad_values(w):
    """Values that are none are refused by rescan, each with file, line, column and what was expected, and nothing is started."""
    wrong = {'restart=sometimes': 'always, on-failure or never', 'success_codes=256': 'exit codes up to 255',
             'success_codes=3,,4': 'exit codes up to 255', 'success_codes=OOPS': 'names of signals', 'cooldown=1ms': '100ms to 1h',
             'cooldown=60s..1s': '100ms to 1h', 'cooldown=1s..2h': '100ms to 1h', 'cooldown=': 'found nothing',
             'give_up_after=0/10m': 'within a time', 'give_up_after=5': 'within a time', 'give_up_after=5/0s': 'within a time',
             'type=oneshot': 'daemon or task'}
    w.start()
    for line, expected in wrong.items():
        w.conf('david', 'web', f'dir=/\nstart=sleep 1001\n{line}\n')
        column = line.index('=') + 2
        w.dmctl('david', 'rescan').exits(1).says(f'web.conf:3:{column}: found', expected)
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\ntype=task\nrestart=always\n')
    w.dmctl('david', 'rescan').exits(1).says('type=task with restart=always')
    assert not w.find('sleep 1001')


def ended_without_a_monitor(w):
    """A task that ends while there is no monitor is not run again by the next: its conf is read before anything is decided."""
    w.conf('david', 'once', 'dir=/\ntype=task\nstart=echo run >> /tmp/runs; while ! test -e /tmp/go; do sleep 0.05; done; exec true once\n')
    w.start()
    pid = w.up('david/once')
    wreck.kill_manager(w)
    open('/tmp/go', 'w').close()
    world.wait_for(lambda: not w.alive(pid), 'it has ended')
    w.start()
    world.wait_for(lambda: w.row('david/once').state in ('done', 'failed'), lambda: f'it has come to its end: {w.row("david/once")}')
    w.dmctl('david', 'rescan').exits(0)
    with open('/tmp/runs') as runs:
        assert runs.read() == 'run\n', 'it was run twice'
