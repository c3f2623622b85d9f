"""before=, after_exit=, stop= and reload=: what is run beside a daemon, and what comes of it."""
import os
import signal
import time

import world
import wreck


def _one(w, text):
    os.chmod('/tmp', 0o777)
    w.conf('david', 'web', 'dir=/\n' + text)
    w.start()


def _text(path):
    return open(path).read() if os.path.exists(path) else ''


def before_runs_first(w):
    """before= runs to its end first, as the same user; then the daemon starts."""
    _one(w, 'before=id -un > /tmp/before; sleep 0.3; echo done >> /tmp/before\nstart=cat /tmp/before > /tmp/seen; exec sleep 1001\n')
    w.up('david/web')
    world.wait_for(lambda: _text('/tmp/seen') == 'david\ndone\n', lambda: f'before= ran first: {_text("/tmp/seen")!r}')


def before_that_fails(w):
    """A before= that fails is a failed start, with its exit code, and its output is in the daemon's log."""
    _one(w, 'autostart=no\noutput=log\ncooldown=10s\nbefore=echo no database; exit 3\nstart=touch /tmp/started; exec sleep 1001\n')
    w.dmctl('david', 'start', 'web').exits(1).says('before=', 'exit code 3')
    w.wait_note('start failed', 'exit code 3')
    world.wait_for(lambda: 'no database' in w.dmctl('david', 'log', 'web').text, 'its output is in the log')
    assert not os.path.exists('/tmp/started')


def before_may_take_long(w):
    """A before= of more than the 10 s that a start may take otherwise is waited for, and start_timeout ends it."""
    _one(w, 'autostart=no\nbefore=sleep 11\nstart=sleep 1001\n')
    w.dmctl('david', 'start', 'web').exits(0)
    w.conf('david', 'web', 'dir=/\nbefore=sleep 1002\nstart_timeout=1s\nstart=sleep 1001\n')
    w.dmctl('david', 'restart', 'web').exits(1).says('start_timeout')
    world.wait_for(lambda: w.row('david/web').respawns >= 1, 'it is tried again')


def killed_on_its_way(w):
    """One that is killed before its start= was executed is not said to run, not for a moment."""
    _one(w, 'autostart=no\nbefore=sleep 1002\nstart=sleep 1001\n')
    for _ in range(40):
        start = w.background('david', '/usr/bin/dmctl', 'start', 'web')
        os.kill(world.wait_for(lambda: w.find('dm-run') and w.find('sleep 1002') and w.find('dm-run'), 'before= runs')[0], signal.SIGKILL)
        said = start.communicate(timeout=world.PATIENCE)
        assert start.returncode == 1, said


def after_exit_sees_the_reason(w):
    """after_exit= is run when nothing of the daemon is left, and is told how it ended."""
    _one(w, 'cooldown=5s\nafter_exit=echo $EXIT_CODE $EXIT_STATUS >> /tmp/after\nstart=sleep 1001\n')
    os.kill(w.up('david/web'), signal.SIGKILL)
    world.wait_for(lambda: _text('/tmp/after') == 'killed KILL\n', lambda: f'after_exit= ran: {_text("/tmp/after")!r}')
    w.wait_note('SIGKILL')  # the daemon's end, not that of the command
    w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert _text('/tmp/after') == 'killed KILL\nkilled TERM\n', _text('/tmp/after')
    w.conf('david', 'web', 'dir=/\ntype=task\nafter_exit=echo $EXIT_CODE $EXIT_STATUS >> /tmp/after\nstart=exit 3\nrestart=never\n')
    w.dmctl('david', 'start', 'web')
    w.wait_state('david/web', 'failed')
    w.wait_note('exit code 3')
    assert _text('/tmp/after').endswith('exited 3\n'), _text('/tmp/after')


def after_exit_is_bounded(w):
    """An after_exit= that does not end is killed after stop_timeout, and the daemon comes to rest."""
    _one(w, 'after_exit=sleep 1002\nstop_timeout=1s\nstart=sleep 1001\n')
    w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert w.row('david/web').state == 'stopped' and not w.find('sleep 1002')


def after_exit_survives_the_monitor(w):
    """One that ends while there is no manager has its after_exit= run by the next, once, before it is started again."""
    _one(w, 'cooldown=1s\nafter_exit=echo $EXIT_CODE >> /tmp/after\nstart=test ! -e /tmp/after || cp /tmp/after /tmp/seen; exec sleep 1001\n')
    pid = w.up('david/web')
    wreck.kill_manager(w)
    os.kill(pid, signal.SIGKILL)
    w.start()
    world.wait_for(lambda: os.path.exists('/tmp/seen'), 'it was started again')
    assert _text('/tmp/seen').split() in (['killed'], ['failed']), _text('/tmp/seen')
    w.up('david/web')
    assert _text('/tmp/after') == _text('/tmp/seen')


def stop_command_survives_the_monitor(w):
    """A stop that the monitor was killed over is done by the next as the conf says it: by stop=."""
    _one(w, 'stop=touch /tmp/asked\nstop_timeout=2s\nstart=trap "touch /tmp/signalled" TERM; while :; do sleep 0.05; done\n')
    w.conf('david', 'user', 'dir=/\nrequires=web\nstart=trap "" TERM; exec sleep 1001\nstop_timeout=1h\n')
    w.dmctl('david', 'rescan').exits(0)
    w.up('david/user')
    w.background('david', world.DMCTL, 'stop', 'web', '--with-dependants')
    w.wait_state('david/user', 'stopping')
    user = w.row('david/user').pid
    wreck.kill_manager(w)
    os.kill(user, signal.SIGKILL)
    w.start()
    w.wait_state('david/web', 'stopped')
    assert os.path.exists('/tmp/asked')


def after_exit_survives_the_worker(w):
    """A worker that is killed while after_exit= runs: its successor goes on, and remembers how the daemon ended."""
    _one(w, 'after_exit=touch /tmp/runs; while ! test -e /tmp/go; do sleep 0.05; done\nstart=sleep 1001\n')
    os.kill(w.up('david/web'), signal.SIGKILL)
    world.wait_for(lambda: os.path.exists('/tmp/runs'), 'after_exit= runs')
    os.kill(w.worker(), signal.SIGKILL)
    w.wait_note('SIGKILL')
    open('/tmp/go', 'w').close()
    w.up('david/web')


def stop_runs_its_command(w):
    """stop=COMMAND is run with MAINPID instead of the signal."""
    _one(w, 'stop=echo $MAINPID > /tmp/stop; kill -INT $MAINPID\nstart=trap "" TERM; exec sleep 1001\n')
    pid = w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert _text('/tmp/stop') == f'{pid}\n' and not w.find('sleep 1001')


def stop_that_does_nothing(w):
    """When stop= has ended, well or not, and the daemon is still there, it gets its stop_signal."""
    for command in ('true', 'exit 3', '/no/such/program'):
        w.conf('david', 'web', f'dir=/\nstop={command}\nstart=sleep 1001\n')
        w.start() if w.manager is None else w.dmctl('david', 'start', 'web').exits(0)
        w.up('david/web')
        began = time.monotonic()
        w.dmctl('david', 'stop', 'web').exits(0)
        assert time.monotonic() - began < 5, 'it waited for stop_timeout'


def stop_that_does_not_end(w):
    """A stop= that does not end is killed with the daemon after stop_timeout."""
    _one(w, 'stop=sleep 1002\nstop_timeout=1s\nstart=sleep 1001\n')
    w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 1001') and not w.find('sleep 1002')


def reload_by_signal(w):
    """reload=HUP sends that signal to the main process, which runs on."""
    _one(w, 'reload=HUP\nstart=trap "touch /tmp/reloaded" HUP; touch /tmp/trapped; while :; do sleep 0.05; done\n')
    pid = w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/trapped'), 'it has its trap')
    w.dmctl('david', 'reload', 'web').exits(0).says('SIGHUP')
    world.wait_for(lambda: os.path.exists('/tmp/reloaded'), 'it was told')
    assert w.up('david/web') == pid


def reload_by_command(w):
    """reload=COMMAND is run with MAINPID, and `dmctl reload` waits for its end and tells its exit code."""
    _one(w, 'reload=sleep 0.3; echo $MAINPID > /tmp/reload; test -e /tmp/good\nstart=sleep 1001\n')
    pid = w.up('david/web')
    w.dmctl('david', 'reload', 'web').exits(1).says('exit code 1')
    assert _text('/tmp/reload') == f'{pid}\n'
    open('/tmp/good', 'w').close()
    w.dmctl('david', 'reload', 'web').exits(0).says('reloaded')
    assert w.up('david/web') == pid


def reload_without_a_word(w):
    """Without reload= in the conf `reload` fails and says what to write; of one that does not run it says that."""
    _one(w, 'start=sleep 1001\n')
    w.up('david/web')
    w.dmctl('david', 'reload', 'web').exits(1).says('reload=HUP', 'as it was last read', 'dmctl rescan reads it')
    w.dmctl('david', 'stop', 'web').exits(0)
    w.dmctl('david', 'reload', 'web').exits(3)
    w.dmctl('bob', 'reload', 'david/web').exits(4)


def try_restart(w):
    """`try-restart` restarts what runs and leaves what is stopped alone."""
    w.conf('david', 'lazy', 'dir=/\nautostart=no\nstart=sleep 1002\n')
    _one(w, 'start=sleep 1001\n')
    pid = w.up('david/web')
    w.dmctl('david', 'try-restart', 'web', 'lazy').exits(0)
    assert w.row('david/web').state == 'running' and w.up('david/web') != pid
    assert w.row('david/lazy').state == 'stopped'
