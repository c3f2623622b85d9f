"""A worker that was taken over is rude: it floods, is deaf, leaves, never comes, is killed again and again."""
import contextlib
import os
import re
import shutil
import signal
import time

import world
from sanitized import not_sanitized
from hostile import CONFIG, each, scene

SCAN, LISTEN, REMEMBER, SIGNAL = 1, 2, 5, 7


def floods(w):
    """A worker that floods the monitor with sound messages keeps it neither from its children nor from its end.
    Claim: worker-blocks-nobody."""
    with scene(w) as it:
        for kind in (REMEMBER, SIGNAL, SCAN):
            it.order(f'flood {kind} read')
            it.hears('floods')
            os.kill(it.daemons['amy/radio'], signal.SIGKILL)
            world.wait_for(lambda: not os.path.exists(f'/proc/{it.daemons["amy/radio"]}'), 'the monitor reaps it')
            assert w.manager.poll() is None
            begin = time.monotonic()
            assert w.stop() == 0
            assert time.monotonic() - begin < 10
            assert w.find('sleep 900') == []
        it.order(f'flood {REMEMBER} read')
        it.hears('floods')
        it.unharmed()
        it.honest_again()
        it.unharmed()
        it.serves()


def deaf(w):
    """A worker that takes no message for five seconds is replaced; the monitor never waits for it. Claim: worker-blocks-nobody."""
    each(w, [(f'flood {LISTEN} deaf', 'it took no message for 5 s')])


def babbles(w):
    """A worker that fills the manager's log, which nobody reads, does not make the monitor wait for it. Claim: worker-blocks-nobody."""
    path, log = '/tmp/log.fifo', w.log_file
    with scene(w) as it:
        it.order('babble')
        w.wait_log('hostile: babbles')
        it.unharmed()
        w.stop(signal.SIGUSR1)  # leaves the daemons
        os.mkfifo(path)
        nobody = os.open(path, os.O_RDWR)
        w.log_file = path
        try:
            w.start(ready=False)
            os.set_blocking(nobody, False)
            world.wait_for(lambda: not _takes(nobody), 'the log is full')
            it.unharmed()
            os.kill(it.daemons['david/web'], signal.SIGKILL)
            begin = time.monotonic()
            assert w.stop() == 0
            assert time.monotonic() - begin < 10
            assert w.find('sleep 900') == []
        finally:
            w.log_file = log


def _takes(pipe):
    try:
        return os.write(pipe, b'x' * 512) > 0
    except BlockingIOError:
        return False


def leaves(w):
    """A worker that closes its socket, or half of it, or exits at once, is replaced; the monitor says how it died.
    Claim: worker-replaced."""
    each(w, [('close', 'was killed by signal 9'), ('half write', 'was killed by signal 9'), ('half read', 'was killed by signal 9'),
             ('end 0', 'exited with 0'), ('end 3', 'exited with 3')])


def leaves_ever_again(w):
    """A worker that exits again and again is replaced ever more slowly. Claim: worker-replaced."""
    with scene(w) as it:
        it.order('end 3')
        w.wait_log('the next worker starts in 200 ms', 'the next worker starts in 400 ms', 'the next worker starts in 800 ms')
        it.unharmed()
        assert w.log().count('the worker exited with 3') <= 5, w.log()


def never_ready(w):
    """A worker that is not ready after ten seconds is replaced. Claim: worker-replaced."""
    each(w, [('idle', 'it was not ready after 10 s')])


def killed_in_a_loop(w):
    """A worker that is killed as soon as it comes, or while it is told what there is, again and again: no daemon notices.
    Claim: worker-replaced."""
    with scene(w) as it:
        it.fresh()
        seen, killed = set(), 0
        for round in range(12):
            # Another policy each time: a new worker comes at once, whatever became of the last ones.
            w.reload(CONFIG + f'[limits]\nbob: starts={round + 1}\n')
            for pause in (0, 0.002 * round):
                while True:
                    pid = world.wait_for(lambda: next(iter(set(w.of_user('_daemon-manager')) - seen), None), 'a worker comes')
                    seen.add(pid)
                    time.sleep(pause)  # not a wait: the moment at which it is hit
                    with contextlib.suppress(ProcessLookupError):  # dm-policy, which has the same uid, ends by itself
                        os.kill(pid, signal.SIGKILL)
                        break
                killed += 1
                it.unharmed()
        assert killed == 24
        it.honest_again()
        it.unharmed()
        it.serves()


@not_sanitized('its root has the libraries of its runtime')
def born_with_nothing(w):
    """The worker is born with one powerless identity, an empty root, seven descriptors and a policy that it cannot write.
    Claim: worker-caged."""
    with scene(w) as it:
        it.order('look')
        it.hears('descriptors')
        said = dict(line[len('hostile: '):].rsplit(' ', 1) for line in w.log().splitlines() if line.startswith('hostile: '))
        assert said == {'one uid': '990', 'one gid': '990', 'groups': '0', 'no new privileges': '1', 'ambient capabilities': '0',
                        'became root': '0', 'signalled the monitor': '0', 'reached outside': '0', 'entries in its root': '2',
                        'descriptors': '7'}, said
        worker = w.of_user('_daemon-manager')
        assert len(worker) == 1
        status = w.status_of(worker[0])
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(status[name], 16) == 0, (name, status[name])
        assert os.listdir(f'/proc/{worker[0]}/root') == []
        it.unharmed()


def a_thousand_exits(w):
    """A thousand daemons that end at once, and a worker that reads nothing, keep the monitor from nothing.
    Claim: worker-blocks-nobody."""
    many = 1000
    for number in range(many):
        w.conf('david', f'd{number}', 'dir=/\nstart=sleep 9999\n')
    w.start('[runs_as]\ndavid\namy\n[limits]\n*: daemons=2000, starts=2000, book=4M\n', ready=False)
    world.wait_for(lambda: len(w.find('sleep 9999')) == many, 'all run')
    worker = w.worker()
    os.kill(worker, signal.SIGSTOP)
    for pid in w.find('sleep 9999'):
        os.kill(pid, signal.SIGKILL)

    def children():
        with open(f'/proc/{w.manager.pid}/task/{w.manager.pid}/children') as pids:
            return len(pids.read().split())

    world.wait_for(lambda: children() < 10, 'the monitor has reaped them all', 10)
    w.wait_log('it took no message for 5 s')
    world.wait_for(lambda: len(w.find('sleep 9999')) == many, 'all run again')
    rows = w.rows('david')
    assert len(rows) == many
    assert {row.state for row in rows.values()} == {'running'}
