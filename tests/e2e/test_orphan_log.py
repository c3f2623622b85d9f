"""Logs while there is no manager at all."""
import os
import signal

import world
import wreck

WRITER = 'dir=/\noutput=log\nstart=i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done\n'


def _numbers(w):
    with open('/home/david/.daemon-manager/logs/web.log') as log:
        return [int(line.split()[2]) for line in log if ' line ' in line and line.endswith('\n')]


def logs_go_on_without_a_manager(w):
    """With the monitor killed and none in its place the log goes on; the next one's dm-log takes it over, and no line is lost or
    doubled."""
    w.conf('david', 'web', WRITER)
    w.start()
    w.up('david/web')
    world.wait_for(lambda: len(_numbers(w)) > 20, 'lines before')
    wreck.kill_manager(w)
    here = len(_numbers(w))
    world.wait_for(lambda: len(_numbers(w)) > here + 200, 'lines while there is no manager')
    old = set(w.find('dm-log'))
    w.start()
    world.wait_for(lambda: w.find('dm-log') and not old & set(w.find('dm-log')), 'the new dm-log has taken over')
    here = len(_numbers(w))
    world.wait_for(lambda: len(_numbers(w)) > here + 50, 'lines afterwards')
    numbers = _numbers(w)
    assert numbers == list(range(1, len(numbers) + 1)), f'lost or doubled near {[n for i, n in enumerate(numbers) if n != i + 1][:3]}'


def an_orphaned_logger_ends(w):
    """A dm-log without a manager ends when the last of its daemons has ended, and has written all that they said."""
    w.conf('david', 'web', WRITER)
    w.start()
    pid = w.up('david/web')
    world.wait_for(lambda: len(_numbers(w)) > 20, 'lines before')
    wreck.kill_manager(w)
    assert w.find('dm-log')
    os.killpg(pid, signal.SIGKILL)
    world.wait_for(lambda: not w.find('dm-log'), 'dm-log has ended')
    numbers = _numbers(w)
    assert numbers == list(range(1, len(numbers) + 1))
