"""The monitor, or the worker, is killed at each step on its way (every_step.py), and nothing is lost."""
import os
import signal

import every_step
import killing
import server
import world
from sanitized import not_sanitized
import wreck

OWN_CALLS = 'its runtime makes calls of its own'
LEDGER = 'echo run >> /tmp/ledger'


def _web(w, text):
    os.chmod('/tmp', 0o777)
    w.conf('david', 'web', 'dir=/\n' + text)
    w.start(every_step.CONFIG)
    w.dmctl('david', 'rescan').exits(0)
    world.wait_for(lambda: os.path.exists('/home/david/.daemon-manager/command.sock'), 'all is set up')


def _killed_at(w, moment, deed):
    """The monitor is killed at that moment of a deed; then the next one serves, and all come to rest."""
    killer = killing.Killer(w.manager.pid, moment)
    asked = deed()
    world.wait_for(lambda: w.manager.poll() is not None, 'the monitor is killed')
    killer.end()
    w.start()
    if asked is not None:
        asked.communicate(timeout=world.PATIENCE)
    w.dmctl('david', 'rescan').exits(0)
    world.wait_for(lambda: every_step.settled(every_step.states(w)), lambda: f'all come to rest: {w.rows()}')


def _start(w):
    return w.background('david', world.DMCTL, 'start', 'web')


# Of a start the first child is dm-scan.
FORKED = ('clone3', 2, 'after')


@not_sanitized(OWN_CALLS)
def forked_and_not_noted(w):
    """A monitor that is killed when it has forked a daemon and noted nothing: the next one knows the daemon for what it is, and it
    runs on, its times told as they are."""
    _web(w, f'autostart=no\nstart={LEDGER}; exec sleep 1001\n')
    _killed_at(w, (*FORKED, '/tmp/ledger'), lambda: _start(w))
    assert every_step.ledger() == ['run'], every_step.ledger()
    row = w.rows()['david/web']
    assert row.state == 'running' and w.find('sleep 1001') == [row.pid] and every_step.seconds(row.uptime) < 3600, row
    w.dmctl('david', 'stop', 'web').exits(0)
    assert every_step.seconds(w.rows()['david/web'].total) < 3600, w.rows()


@not_sanitized(OWN_CALLS)
def task_forked_and_not_noted(w):
    """The same of a task that is over before the next monitor comes: it is not run again."""
    _web(w, f'type=task\nstart_timeout=1h\nautostart=no\nstart={LEDGER}; until test -e /tmp/go; do sleep 0.01; done; echo end >> /tmp/ledger\n')
    def deed():
        w.dmctl('david', 'start', 'web', '--no-wait').exits(0)
    killer = killing.Killer(w.manager.pid, (*FORKED, '/tmp/ledger'))
    deed()
    world.wait_for(lambda: w.manager.poll() is not None, 'the monitor is killed')
    killer.end()
    open('/tmp/go', 'w').close()
    world.wait_for(lambda: every_step.ledger() == ['run', 'end'] and not w.of_user('david'), 'it is over')
    w.start()
    w.dmctl('david', 'rescan').exits(0)
    world.wait_for(lambda: every_step.states(w).get('web') in ('failed', 'done'), lambda: f'it has ended: {w.rows()}')
    assert every_step.ledger() == ['run', 'end'], every_step.ledger()


def before_outlives_the_monitor(w):
    """One at its before= when the monitor is killed goes on and is started when that has ended, be the next monitor there by then or
    not: a task, too, is run, and once."""
    text = f'start_timeout=1h\nautostart=no\nbefore=touch /tmp/before; until test -e /tmp/go; do sleep 0.01; done\nstart={LEDGER}; '
    for there in (True, False):
        w.reset()
        _web(w, 'type=task\n' + text + 'until test -e /tmp/end; do sleep 0.01; done\n')
        w.dmctl('david', 'start', 'web', '--no-wait').exits(0)
        world.wait_for(lambda: os.path.exists('/tmp/before'), 'before= runs')
        wreck.kill_manager(w)
        if there:
            w.start()
            w.wait_state('david/web', 'starting')
        open('/tmp/go', 'w').close()
        world.wait_for(lambda: every_step.ledger() == ['run'], 'it runs')
        if not there:
            w.start()
        w.up('david/web')
        open('/tmp/end', 'w').close()
        w.wait_state('david/web', 'done')
        assert every_step.ledger() == ['run'], every_step.ledger()


def before_that_fails_later(w):
    """Of a before= that fails after the monitor was killed the next one says so."""
    _web(w, 'autostart=no\nstart_timeout=1h\ncooldown=1h\n'
            'before=touch /tmp/before; until test -e /tmp/go; do sleep 0.01; done; exit 3\nstart=sleep 1001\n')
    w.dmctl('david', 'start', 'web', '--no-wait').exits(0)
    world.wait_for(lambda: os.path.exists('/tmp/before'), 'before= runs')
    wreck.kill_manager(w)
    w.start()
    w.wait_state('david/web', 'starting')
    open('/tmp/go', 'w').close()
    w.wait_note('start failed', 'before=', 'exit code 3')


@not_sanitized(OWN_CALLS)
def reaped_and_not_told(w):
    """A monitor that is killed when it has just reaped a daemon has noted how that ended: a success stays one."""
    _web(w, f'restart=on-failure\noutput=log\ncooldown=100ms\nautostart=no\nstart={LEDGER}; until test -e /tmp/go; do sleep 0.01; done\n')
    w.dmctl('david', 'start', 'web').exits(0)
    world.wait_for(every_step.ledger, 'it runs')
    _killed_at(w, ('waitid', 1, 'next', None), lambda: open('/tmp/go', 'w').close())
    assert every_step.states(w) == {'web': 'done'} and every_step.ledger() == ['run'], (w.rows(), every_step.ledger())


@not_sanitized(OWN_CALLS)
def written_and_not_remembered(w):
    """An event that is in the history when the monitor is killed is not told a second time: a start, an end and that it was given up."""
    _web(w, f'autostart=no\ngive_up_after=1/1h\nstart={LEDGER}; until test -e /tmp/go; do sleep 0.01; done; exit 3\n')
    _killed_at(w, ('pwrite64', 1, 'after', None), lambda: _start(w))
    assert [deed.split()[0] for deed in every_step.history(w, 'web')] in (['started', 'runs'], ['runs', 'started']), every_step.history(w, 'web')
    told = len(every_step.history(w, 'web'))
    for nth in (1, 2):
        if nth == 2:
            w.dmctl('david', 'start', 'web').exits(0)
        _killed_at(w, ('pwrite64', nth, 'after', None), lambda: open('/tmp/go', 'w').close())
        assert every_step.states(w) == {'web': 'failed'}, w.rows()
        os.unlink('/tmp/go')
        deeds = every_step.history(w, 'web')[told:]
        assert len(deeds) == 2 and deeds[0].startswith('ended with exit code 3') and 'given up' in deeds[1], deeds
        told = len(every_step.history(w, 'web')) + 1


@not_sanitized(OWN_CALLS)
def asked_and_not_signalled(w):
    """A monitor that is killed before it sends the stop signal that it was asked for: the next one sends it."""
    _web(w, 'stop_timeout=1h\nstart=exec sleep 1001\n')
    w.up('david/web')
    _killed_at(w, ('kill', 1, 'before', None), lambda: w.background('david', world.DMCTL, 'stop', 'web'))
    assert every_step.states(w) == {'web': 'stopped'} and not w.find('sleep 1001'), w.rows()


@not_sanitized(OWN_CALLS)
def asked_and_not_run(w):
    """A monitor that is killed before it runs the stop= that it was asked for: the next one runs it."""
    _web(w, 'stop_timeout=1h\nstop=echo stop >> /tmp/ledger; kill $MAINPID\nstart=exec sleep 1001\n')
    w.up('david/web')
    _killed_at(w, ('clone3', 1, 'before', None), lambda: w.background('david', world.DMCTL, 'stop', 'web'))
    assert every_step.states(w) == {'web': 'stopped'} and every_step.ledger() == ['stop'], (w.rows(), every_step.ledger())


@not_sanitized(OWN_CALLS)
def asked_and_not_cleared(w):
    """A monitor that is killed before it ends what a crashed daemon has left: the next one does, and the daemon comes back."""
    _web(w, f'cooldown=100ms\nstart=setsid sleep 1002 & {LEDGER}; exec sleep 1001\n')
    pid = w.up('david/web')
    world.wait_for(lambda: w.command_of(pid) == ['sleep', '1001'] and w.find('sleep 1002'), 'both run')
    left, = w.find('sleep 1002')
    _killed_at(w, ('write', 1, 'before', None), lambda: os.kill(pid, signal.SIGKILL))
    assert w.up('david/web') != pid and not w.alive(left) and every_step.ledger() == ['run', 'run'], (w.rows(), every_step.ledger())


@not_sanitized(OWN_CALLS)
def scaled_and_not_placed(w):
    """A monitor that is killed when it knows of a family's new size, and no more: the next one starts those that are new."""
    _web(w, 'autostart=no\ninstances=2\nstart=exec sleep 100%i\n')
    w.dmctl('david', 'start', 'web').exits(0)
    _killed_at(w, ('recvmsg', 2, 'before', None), lambda: w.background('david', world.DMCTL, 'scale', 'web', '3'))
    world.wait_for(lambda: len(w.find('sleep 100')) == 3, lambda: f'three run: {w.rows()}')
    assert every_step.states(w) == {f'web:{i}': 'running' for i in (1, 2, 3)}, w.rows()


@not_sanitized(OWN_CALLS)
def scaled_and_half_done(w):
    """A monitor that is killed between the daemons of a family whose size is changed, with nobody who asks again: the next one brings
    all of them to one size, be it the old or the new, and all of them run."""
    for sizes in ((3, 1), (1, 2), (1, 3)):
        for nth in range(1, 6):
            w.reset()
            _web(w, 'autostart=no\ninstances=2\nstart=exec sleep 100%i\n')
            w.dmctl('david', 'start', 'web').exits(0)
            w.dmctl('david', 'scale', 'web', str(sizes[0])).exits(0)
            whole = [{f'web:{i + 1}': 'running' for i in range(size)} for size in sizes]
            world.wait_for(lambda: every_step.states(w) == whole[0], lambda: f'{sizes[0]} run: {w.rows()}')
            killer = killing.Killer(w.manager.pid, ('recvmsg', nth, 'before', None))
            asked = w.background('david', world.DMCTL, 'scale', 'web', str(sizes[1]))
            world.wait_for(lambda: w.manager.poll() is not None, 'the monitor is killed')
            killer.end()
            asked.kill()
            asked.communicate()
            w.start()
            w.dmctl('david', 'rescan').exits(0)
            world.wait_for(lambda: every_step.states(w) in whole, lambda: f'{sizes}, killed at message {nth}: {w.rows()}', every_step.SETTLE)


def scaled_twice(w):
    """A family is made smaller while one of those that had to go before hangs in its end: the size that was answered last counts after
    the monitor was killed, too."""
    _web(w, 'autostart=no\ninstances=2\nstop_timeout=1h\nstart=test %i -lt 3 || trap "" TERM; echo %i >> /tmp/ledger; exec sleep 100%i\n')
    w.dmctl('david', 'start', 'web').exits(0)
    w.dmctl('david', 'scale', 'web', '3').exits(0)
    world.wait_for(lambda: w.find('sleep 1003'), 'the third is about to ignore')
    w.dmctl('david', 'scale', 'web', '2', '--no-wait').exits(0)
    w.dmctl('david', 'scale', 'web', '1').exits(0)
    wreck.kill_manager(w)
    w.start()
    w.dmctl('david', 'rescan').exits(0)
    w.wait_state('david/web:1', 'running')
    assert every_step.states(w) == {'web:1': 'running', 'web:3': 'stopping'}, w.rows()
    assert sorted(every_step.ledger()) == ['1', '2', '3'], every_step.ledger()
    w.dmctl('david', 'kill', 'web:3', 'KILL')
    world.wait_for(lambda: every_step.states(w) == {'web:1': 'running'}, lambda: f'one is left: {w.rows()}')


@not_sanitized(OWN_CALLS)
def answered_and_not_remembered(w):
    """With ready=connect, too, one whose readiness the monitor was not told before it was killed is not ended for it."""
    w.script('/srv/server', server.SERVER)
    _web(w, 'listen=/home/david/web.sock\nready=connect\nstart_timeout=4s\ncooldown=1h\nstart=/srv/server late\n')
    w.wait_note('not ready yet')
    pid = w.row('david/web').pid
    _killed_at(w, ('recvmsg', 1, 'before', None), lambda: open('/tmp/late', 'w').close())
    assert w.up('david/web') == pid


@not_sanitized(OWN_CALLS)
def heard_and_not_remembered(w):
    """A worker that is killed when it has just heard that a daemon is ready: the next one hears it, or knows."""
    for nth in (1, 2):
        w.reset()
        _web(w, 'ready=fd:3\nstart_timeout=1h\nstart=until test -e /tmp/go; do sleep 0.01; done; echo >&3; exec sleep 1001\n')
        w.wait_note('not ready yet')
        old = w.worker()
        killer = killing.Killer(old, ('recvfrom', nth, 'after', None))
        open('/tmp/go', 'w').close()
        world.wait_for(lambda: not w.alive(old), 'the worker is killed')
        killer.end()
        w.up('david/web')


@not_sanitized(OWN_CALLS)
def answered_and_not_kept(w):
    """Whoever is told that a daemon is stopped may rely on it: where the monitor is killed before that is remembered he is told to
    try again."""
    _web(w, 'cooldown=1h\nautostart=no\nstart=exit 3\n')
    w.dmctl('david', 'start', 'web')
    w.wait_state('david/web', 'cooldown')
    killer = killing.Killer(w.manager.pid, ('recvmsg', 1, 'before', None))
    asked = w.background('david', world.DMCTL, 'stop', 'web')
    said, _ = asked.communicate(timeout=world.PATIENCE)
    world.wait_for(lambda: w.manager.poll() is not None, 'the monitor is killed')
    killer.end()
    w.start()
    assert asked.returncode == 1 and 'try again' in said, (asked.returncode, said, w.rows())
    w.dmctl('david', 'stop', 'web').exits(0)
    wreck.kill_manager(w)
    w.start()
    w.wait_state('david/web', 'stopped')


def _every(w, name, part, stride):
    series = every_step.Series(w, name, part)
    step = stride
    while True:
        try:
            if not series.once(step):
                break
        except AssertionError as problem:
            raise AssertionError(f'{part} killed {series.where}, step {step} of {name}: {problem}') from problem
        step += stride
    assert series.killed > 3, f'{series.killed} killed'


@not_sanitized(OWN_CALLS)
def monitor_at_every_step(w):
    """The monitor is killed at every step, or one of some, of what a daemon goes through, and the next one goes on: each runs once, what
    was answered is so, status and history tell the truth."""
    for name, stride in (('plain', 7), ('notify', 7), ('afterexit', 17), ('task', 9), ('callsoff', 1), ('scale', 11)):
        _every(w, name, 'monitor', stride)


@not_sanitized(OWN_CALLS)
def worker_at_every_step(w):
    """So is the worker."""
    for name, stride in (('plain', 6), ('newline', 5), ('afterexit', 9), ('requires', 9), ('arms', 9)):
        _every(w, name, 'worker', stride)
