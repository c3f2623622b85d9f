"""dmctl history: what happened to a daemon, when and on whose word, over the ends of workers, managers and upgrades."""
import os
import re
import signal
import subprocess

import schema
import world

SLEEP = 'dir=/\noutput=discard\ncooldown=100ms\nstart=sleep 4101\n'


def _deeds(w, name, user='root'):
    """The texts, without their times."""
    lines = w.dmctl(user, 'history', name).exits(0).out.splitlines()
    assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  .+', line) for line in lines), lines
    return [re.sub(r'\d+', 'N', line[22:]) for line in lines]


def _wait_deed(w, name, *words):
    world.wait_for(lambda: any(all(word in deed for word in words) for deed in _deeds(w, name)), lambda: f'{words} in {_deeds(w, name)}')


def by_whom(w):
    """history tells of each start, stop and signal who asked for it, and of what came by itself how: root, the owner and who manages
    him see it, and nobody else."""
    w.conf('david', 'web', SLEEP)
    w.start()
    pid = w.up('david/web')
    w.dmctl('helpdesk', 'restart', 'david/web').exits(0)
    w.dmctl('root', 'kill', 'KILL', 'david/web').exits(0)
    world.wait_for(lambda: w.row('david/web').respawns == 1 and w.row('david/web').state == 'running', 'it came back')
    w.dmctl('david', 'stop', 'web').exits(0)
    w.dmctl('david', 'start', 'web').exits(0)
    wanted = ['started by autostart, pid N', 'stopped by helpdesk after Ns (SIGTERM)', 'started by helpdesk, pid N', 'sent SIGKILL by root',
              'killed by SIGKILL after Ns', 'started again by itself, pid N', 'stopped by david after Ns (SIGTERM)', 'started by david, pid N']
    for user, name in (('david', 'web'), ('helpdesk', 'web'), ('root', 'david/web')):
        assert _deeds(w, name, user) == wanted, _deeds(w, name, user)
    assert f'pid {pid}\n' in w.dmctl('david', 'history', 'web').out
    w.dmctl('amy', 'history', 'david/web').exits(4).says('you do not manage the daemons of david')
    w.dmctl('amy', 'history', 'bob/web').exits(4)
    w.dmctl('david', 'history', 'webb').exits(5).says("did you mean 'web'?")
    w.dmctl('david', 'history').exits(2).says('needs a daemon')


def failures(w):
    """Starts that fail, runs that end, one that is not ready, one that is given up, and pardons are all told with their reasons."""
    w.conf('david', 'nodir', 'dir=/nosuch\nautostart=no\nstart=sleep 4102\n')
    w.conf('david', 'code', 'dir=/\noutput=discard\nrestart=never\nautostart=no\nstart=exit 7\n')
    w.conf('david', 'slow', 'dir=/\noutput=discard\nautostart=no\nready=notify\nstart_timeout=100ms\nrestart=never\nstart=sleep 4103\n')
    w.conf('david', 'bad', 'dir=/\noutput=discard\nautostart=no\ncooldown=100ms\ngive_up_after=2/1m\nstart=exit 3\n')
    w.start()
    w.dmctl('david', 'start', 'nodir', 'code', 'slow', 'bad')
    _wait_deed(w, 'david/bad', 'given up')
    w.dmctl('david', 'reset-failed', 'bad').exits(0)
    w.dmctl('david', 'stop', 'nodir').exits(0)
    failed = _deeds(w, 'david/nodir')
    assert failed[0] == 'start failed by david: dir= could not be entered: No such file or directory', failed
    assert failed[-1] == 'stopped by david, before it ran again', failed
    assert [deed.removesuffix(', pid N') for deed in _deeds(w, 'david/code')] == ['started by david', 'ended with exit code N after Ns'], _deeds(w, 'david/code')
    assert 'exit code 7' in w.dmctl('david', 'history', 'code').out
    _wait_deed(w, 'david/slow', 'killed by SIGKILL')
    assert _deeds(w, 'david/slow')[1:] == ['not ready within Ns (start_timeout=)', 'killed by SIGKILL after Ns'], _deeds(w, 'david/slow')
    bad = _deeds(w, 'david/bad')
    assert bad[-2:] == ['given up after it had ended N times (give_up_after=)', 'failures forgotten by david (reset-failed)'], bad


def the_last_twenty(w):
    """Of more than twenty events the last are kept, in their order; another daemon's, started between them, are not among them."""
    w.conf('david', 'web', SLEEP + 'reload=HUP\n')
    w.conf('amy', 'bot', SLEEP)
    w.start()
    w.up('david/web')
    w.up('amy/bot')
    for number in range(1, 31):  # SIGCHLD, SIGCONT, SIGURG and SIGWINCH do nothing
        w.dmctl('david', 'kill', ('CHLD', 'CONT', 'URG', 'WINCH')[number % 4], 'web').exits(0)
    texts = [line[22:] for line in w.dmctl('david', 'history', 'web').exits(0).out.splitlines()]
    assert texts == [f'sent SIG{("CHLD", "CONT", "URG", "WINCH")[number % 4]} by david' for number in range(11, 31)], texts
    assert _deeds(w, 'amy/bot') == ['started by autostart, pid N']


def outlives_worker_and_manager(w):
    """What was told before a worker, a manager that is killed, and an upgrade is told after each; a manager that takes over says so."""
    w.conf('david', 'web', SLEEP)
    w.start()
    w.up('david/web')
    w.dmctl('david', 'restart', 'web').exits(0)
    before = w.dmctl('david', 'history', 'web').exits(0).out
    os.kill(w.worker(), signal.SIGKILL)
    assert w.dmctl('david', 'history', 'web').exits(0).out == before
    w.manager.send_signal(signal.SIGHUP)
    w.wait_log('read again')
    assert w.dmctl('david', 'history', 'web').exits(0).out == before
    for again in (1, 2):
        if again == 1:
            w.manager.kill()
            w.manager.wait()
            w.start()
        else:
            assert subprocess.run([world.MANAGER, '--upgrade'], capture_output=True, text=True).returncode == 0
        after = w.dmctl('david', 'history', 'web').exits(0).out
        assert after.startswith(before) and after[len(before):].count('\n') == again, after
        assert 'runs on, taken over by a new manager' in after[len(before):], after
    w.dmctl('david', 'stop', 'web').exits(0)
    assert _deeds(w, 'david/web')[-1] == 'stopped by david after Ns (SIGTERM)'


def ends_with_the_manager(w):
    """A manager that ends takes the history with it: the next begins anew, and so does the place of a daemon that another has now."""
    w.conf('david', 'old', SLEEP)
    w.start()
    w.up('david/old')
    os.unlink(w.conf_path('david', 'old'))
    w.rescan('david')
    world.wait_for(lambda: 'david/old' not in w.rows(), 'its place is free')
    w.conf('david', 'new', SLEEP)
    w.rescan('david')
    assert _deeds(w, 'david/new') == ['started by david, pid N'], _deeds(w, 'david/new')
    w.stop()
    w.start()
    w.up('david/new')
    assert _deeds(w, 'david/new') == ['started by autostart, pid N'], _deeds(w, 'david/new')


def of_several(w):
    """Of several daemons history is one list in the order of time, with their ids; JSON has every part of an event."""
    for name in ('one', 'two'):
        w.conf('david', name, SLEEP)
    w.start()
    w.up('david/one')
    w.up('david/two')
    w.dmctl('david', 'stop', 'one').exits(0)
    lines = w.dmctl('david', 'history', 'all').exits(0).out.splitlines()
    assert sorted(line.split()[1] for line in lines) == ['david/one', 'david/one', 'david/two'] and lines == sorted(lines, key=lambda line: line[:19]), lines
    assert [line for line in lines if 'stopped by david' in line][0].split()[1] == 'david/one'
    events = schema.ask(w, 'david', 'history', 'one')['events']
    assert [(event['id'], event['event'], event['by']) for event in events] == [('david/one', 'started', 'autostart'), ('david/one', 'stopped', 'david')], events
    assert events[0]['pid'] > 0 and events[0]['signal'] is None and events[1]['signal'] == 'SIGTERM' and events[1]['lasted_s'] >= 0, events


def ends_at_once(w):
    """Of a run that ends at once no pid is told where none is known."""
    w.conf('david', 'quick', 'dir=/\nautostart=no\ncooldown=1m\nstart=false\n')
    w.start()
    w.rescan('david')
    for _ in range(5):
        w.dmctl('david', 'start', 'quick')
        world.wait_for(lambda: w.row('david/quick').state == 'cooldown', 'it has ended')
    said = w.dmctl('david', 'history', 'quick').exits(0).out
    assert 'started by david' in said and 'pid 0' not in said, said
    assert all(event['pid'] != 0 for event in schema.ask(w, 'david', 'history', 'quick')['events'])
