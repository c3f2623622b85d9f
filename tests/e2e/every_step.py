#!/usr/bin/env python3
"""every_step.py STAGE [SCENARIO[,SCENARIO…]|all [monitor|worker [STRIDE [FIRST]]]]: goes through each scenario again and again, and each
time kills the monitor, or the worker, a step later: before a system call, or after it and before anything is made of it. Then a
manager is there again, and it is checked that nothing is lost. It ends when a scenario comes to its end unkilled. As root.

The tests take the most telling ones, a few steps of each (test_every_step.py)."""
import collections
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import killing  # noqa: E402
import world  # noqa: E402
import wreck  # noqa: E402

CONFIG = '[runs_as]\ndavid\n[limits]\n*: starts=1000\n'
LEDGER = '/tmp/ledger'
READY = r'''#!/usr/bin/perl
use Socket;
sub say { open(my $out, '>>', '/tmp/ledger'); syswrite $out, "$_[0]\n"; }
&say("web run");
select(undef, undef, undef, 0.01) until -e '/tmp/go';
while (1) {
  socket(my $notify, AF_UNIX, SOCK_DGRAM, 0);
  send($notify, "READY=1", 0, sockaddr_un($ENV{NOTIFY_SOCKET}));
  select(undef, undef, undef, 0.05);
}
'''
SERVER = r'''#!/usr/bin/perl
open(my $out, '>>', '/tmp/ledger'); syswrite $out, "web run\n"; close $out;
$SIG{PIPE} = 'IGNORE';
while (1) { accept(my $peer, STDIN) or next; syswrite $peer, "$$\n"; close $peer; }
'''
RUN = 'echo web run >> /tmp/ledger; exec sleep 1001'


class Over(Exception):
    """What was to be killed is dead: the scenario ends here."""


class Violation(AssertionError):
    pass


class Stage:
    """One way through a scenario: its commands, their answers, and what is known of it."""

    def __init__(self, w, part):
        self.w, self.part, self.killer, self.dead = w, part, None, False
        self.answers = []

    # -- what a scenario does

    def arm(self, moment):
        self.worker = self.w.worker()
        self.victim = self.w.manager.pid if self.part == 'monitor' else self.worker
        self.killer = killing.Killer(self.victim, moment)
        self.dead = False

    def look(self):
        """Sees whether the victim is dead; after a monitor the next one starts at once."""
        if self.dead:
            return True
        if self.part == 'monitor':
            self.dead = self.w.manager.poll() is not None
            if self.dead:
                self.w.start(ready=False)
        else:
            self.dead = not self.w.alive(self.victim)
        return self.dead

    def until(self, condition, what='it happens'):
        """Waits for something; ends the scenario when the victim dies first."""
        def met():
            if self.look():
                raise Over
            return condition()
        return world.wait_for(met, what)

    def dmctl(self, *arguments):
        """A command of david's, followed to its answer, whatever dies meanwhile."""
        if self.look():
            raise Over
        asked = self.w.background('david', world.DMCTL, *arguments)
        begin = time.monotonic()
        while asked.poll() is None:
            self.look()
            if time.monotonic() > begin + world.PATIENCE:
                raise Violation(f'dmctl {arguments} has no answer')
            time.sleep(0.001)
        text = asked.stdout.read()
        asked.stdout.close()
        self.answers.append((arguments, asked.returncode, text))
        if asked.returncode not in (0, 1, 3, 7) or 'makes no sense' in text:
            raise Violation(f'dmctl {arguments}: {asked.returncode} {text}')
        if self.dead:
            raise Over
        return asked.returncode

    def linger(self):
        """What is still to come of the last answer comes."""
        until = time.monotonic() + 0.03
        self.until(lambda: time.monotonic() > until, 'a moment is over')

    def answered(self, *arguments, code=0):
        return any(said[:2] == (arguments, code) for said in self.answers)

    def asked(self, *arguments):
        return any(said[0] == arguments for said in self.answers)

    # -- what is checked

    def must(self, good, what):
        if not good:
            raise Violation(f'{what}\nanswers: {self.answers}\nledger: {ledger()}\nhistory: {history(self.w, "web")[-6:]}\n{self.w.dmctl("root", "status").text}'
                            f'{[self.w.command_of(pid) for pid in self.w.of_user("david")]}')

    def settles(self, what, good):
        """Waits until the daemons' states, by their names, are as they should be."""
        def there():
            try:
                return good(states(self.w))
            except KeyError:
                return False
        world.wait_for(there, lambda: f'{what}\nanswers: {self.answers}\nledger: {ledger()}\n{self.w.dmctl("root", "status").text}'
                       f'{history(self.w, "web")}', SETTLE)


SETTLE = float(os.environ.get('DM_SETTLE', world.PATIENCE))


def ledger(word=''):
    try:
        with open(LEDGER) as lines:
            return [line.strip() for line in lines if word in line]
    except FileNotFoundError:
        return []


def states(w):
    """The daemons' states by their names; of none while there is no manager."""
    with contextlib.suppress(AssertionError):
        return {name.split('/')[1]: row.state for name, row in w.rows('david').items()}
    return {}


def history(w, name):
    said = w.dmctl('david', 'history', name)
    return [line[22:] for line in said.out.splitlines()] if said.code == 0 else []


def settled(all_states):
    return bool(all_states) and all(state in ('stopped', 'running', 'listening', 'done', 'failed') for state in all_states.values())


def check_world(stage):
    """Each daemon that runs does so once, nothing else is there, and status and history tell the truth."""
    w = stage.w
    stage.settles('all come to rest', settled)
    def sound():
        rows = w.rows('david')
        mains = sorted(row.pid for row in rows.values() if row.state == 'running')
        there = [pid for pid in w.of_user('david') if not w.command_of(pid)[:1] == ['dm-log']]
        tops = sorted(pid for pid in there if w.status_of(pid).get('PPid') in ('1', str(w.manager.pid)))
        return tops == mains, f'processes {[(pid, w.command_of(pid)) for pid in there]}, status {rows}'
    try:
        world.wait_for(lambda: sound()[0], 'that', min(5.0, SETTLE))
    except AssertionError:
        stage.must(False, f'who runs is who status says: {sound()[1]}')
    rows = w.rows('david')
    place = world.cgroup_mount()
    if place is not None:
        populated = 0
        for folder, _, files in os.walk(place):
            if re.search(r'/daemon-manager\.[0-9a-f]+/s\d+$', folder):
                with open(folder + '/cgroup.events') as events:
                    populated += 'populated 1' in events.read()
        stage.must(populated == sum(row.state == 'running' for row in rows.values()), f'cgroups with processes: {populated}')
    for row in rows.values():
        if row.state == 'running':
            check_uptime(stage, row)
        check_history(stage, row)


def seconds(text):
    units = {'ms': 0.001, 's': 1, 'm': 60, 'h': 3600, 'd': 86400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r'([\d.]+)(ms|s|m|h|d)', text))


def check_uptime(stage, row):
    with open(f'/proc/{row.pid}/stat') as stat:
        started = int(stat.read().rsplit(')', 1)[1].split()[19]) / os.sysconf('SC_CLK_TCK')
    lives = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    stage.must(seconds(row.uptime) <= lives + 2.5, f'uptime {row.uptime} of one that lives for {lives:.1f} s')
    stage.must(seconds(row.total) <= time.monotonic() - stage.began_at + 5, f'total {row.total}')


def check_history(stage, row):
    deeds = history(stage.w, row.id.split('/')[1])
    # (what came before this time through it has been checked)
    kinds = []
    for deed in deeds:
        if deed.startswith('started'):
            kinds.append('S')
        elif deed.startswith('start failed'):
            kinds.append('F')
        elif re.match(r'ended|killed by|stopped.* after ', deed):
            kinds.append('E')
    told = ''.join(kinds)
    if 'EF' in told:  # one that fails as it is started after it ran
        told = told.replace('F', '')
    stage.must('SS' not in told and 'EE' not in told and not told.startswith('E' * 2), f'history {deeds}')
    stage.must(not (row.state == 'running') or told.endswith('S') or not told, f'a start is missing in {deeds}')
    stage.must(row.state not in ('stopped', 'done', 'failed') or not told or told[-1] in 'EF', f'an end is missing in {deeds}')


# ---- the scenarios: `conf` is what david/web says, `confs` what others do

class Plain:
    """A daemon is started and stopped."""
    conf = f'autostart=no\nstart={RUN}\n'
    confs = {}
    names = ['web']
    first = 'stopped'

    def scripts(self, w):
        pass

    def begin(self, stage):
        """Before the killing."""

    def act(self, stage):
        stage.dmctl('start', 'web')
        stage.dmctl('stop', 'web')

    def check(self, stage):
        stage.must(len(ledger('run')) <= 1, 'it was started twice')
        if stage.answered('stop', 'web'):
            stage.settles('what was stopped is stopped', lambda it: it['web'] == 'stopped')
        elif stage.answered('start', 'web') and not stage.asked('stop', 'web'):
            stage.settles('what was started runs', lambda it: it['web'] == 'running')

    def restore(self, stage):
        w = stage.w
        w.dmctl('david', 'stop', *self.names)
        w.dmctl('david', 'reset-failed', *self.names)
        for name in self.names:
            stage.settles('it is stopped again', lambda it: it[name] in ('stopped', 'done'))


class Starts(Plain):
    """It is started by the manager itself: what is wanted comes up."""
    def act(self, stage):
        stage.dmctl('start', 'web')

    def check(self, stage):
        super().check(stage)


class Notify(Plain):
    """ready=notify: it is running when it says so, and not before."""
    conf = 'autostart=no\nready=notify\nstart_timeout=1h\nstart=/srv/ready\n'

    def scripts(self, w):
        w.script('/srv/ready', READY)

    def begin(self, stage):
        with contextlib.suppress(FileNotFoundError):
            os.unlink('/tmp/go')

    def act(self, stage):
        stage.dmctl('start', 'web', '--no-wait')
        stage.until(lambda: ledger('run'), 'it runs')
        stage.until(lambda: states(stage.w).get('web') == 'starting', 'it is starting')
        open('/tmp/go', 'w').close()
        stage.until(lambda: states(stage.w).get('web') == 'running', 'it is running')

    def check(self, stage):
        stage.must(len(ledger('run')) <= 1, 'it was started twice')
        if not os.path.exists('/tmp/go'):
            stage.settles('the start goes on, or is forgotten before it was answered',
                          lambda it: it['web'] == 'starting' and ledger('run') or it['web'] == 'stopped')
            if states(stage.w)['web'] == 'starting':
                world.wait_for(lambda: stage.w.dmctl('david', 'rescan').code == 0, 'the confs are read')
                stage.must(states(stage.w)['web'] == 'starting', 'it is no longer said to be starting')
            if stage.answered('start', 'web', '--no-wait') and not ledger('run'):
                stage.count('start --no-wait is lost')
            open('/tmp/go', 'w').close()
        stage.settles('it comes up', settled)
        stage.must(states(stage.w)['web'] == ('running' if ledger('run') else 'stopped'), 'it is what it was')


class Newline(Plain):
    """ready=fd:3 likewise; what it says while there is no monitor is made good at start_timeout."""
    conf = 'autostart=no\nready=fd:3\nstart_timeout=1s\nstart=echo web run >> /tmp/ledger; sleep 0.02; echo >&3; exec sleep 1001\n'


class Connects(Plain):
    """ready=connect"""
    conf = 'autostart=no\nready=connect\nstart_timeout=2s\nlisten=/home/david/web.sock\nlisten_pass=stdin\nstart=/srv/server\n'

    def scripts(self, w):
        w.script('/srv/server', SERVER)


class Before(Plain):
    """before= runs to its end before each start, and nothing is started beside it."""
    conf = ('autostart=no\nbefore=echo before begins >> /tmp/ledger; sleep 0.03; echo before ends >> /tmp/ledger\n'
            f'start={RUN}\n')

    def check(self, stage):
        super().check(stage)
        lines = ledger()
        for i, line in enumerate(lines):
            if line == 'web run':
                stage.must(lines[i - 2:i] == ['before begins', 'before ends'], 'before= did not run to its end')
            if line == 'before ends':
                stage.must(lines[i - 1] == 'before begins', 'two before= at once')
        if states(stage.w)['web'] == 'running':
            stage.must(lines[-1:] == ['web run'], 'it is not yet what status says')


class AfterExit(Plain):
    """after_exit= runs once for each run, before the next."""
    conf = f'autostart=no\ncooldown=100ms\nafter_exit=echo after $EXIT_CODE $EXIT_STATUS >> /tmp/ledger\nstart={RUN}\n'

    def act(self, stage):
        stage.dmctl('start', 'web')
        stage.until(lambda: ledger('run'), 'it runs')
        pid, = stage.until(lambda: stage.w.find('sleep 1001'), 'it runs')
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        stage.until(lambda: len(ledger('run')) > 1, 'it runs again')
        stage.dmctl('stop', 'web')

    def check(self, stage):
        lines = ledger()
        runs = 0
        for line in lines:
            if line == 'web run':
                stage.must(runs == 0, 'after_exit= was not run')
                runs = 1
            else:
                if runs == 0:
                    stage.count('after_exit= twice, or of a start that came to nothing')
                runs = 0
        if stage.answered('stop', 'web'):
            stage.settles('what was stopped is stopped', lambda it: it['web'] == 'stopped')
        if states(stage.w)['web'] == 'stopped':
            stage.must(runs == 0, 'the last after_exit= was not run')


class StopCommand(Plain):
    """stop= is run where it is to be stopped."""
    conf = f'autostart=no\nstop=echo stop >> /tmp/ledger; kill $MAINPID\nstart={RUN}\n'

    def check(self, stage):
        super().check(stage)
        if states(stage.w)['web'] == 'stopped' and ledger('run'):
            if not ledger('stop'):
                stage.must(False, 'it was stopped without its stop=')
            if len(ledger('stop')) > 1:
                stage.count('stop= twice')


class Reload(Plain):
    """reload= is run when `dmctl reload` was answered, and the daemon runs on."""
    conf = f'autostart=no\nreload=echo reload >> /tmp/ledger\nstart={RUN}\n'

    def begin(self, stage):
        stage.w.dmctl('david', 'start', 'web').exits(0)
        self.pid = stage.w.rows('david')['david/web'].pid

    def act(self, stage):
        stage.dmctl('reload', 'web')

    def check(self, stage):
        stage.must(not stage.answered('reload', 'web') or ledger('reload'), 'reload= was not run')
        stage.must(stage.w.rows('david')['david/web'].pid == self.pid, 'it is not what ran before')


class Task(Plain):
    """A task runs once."""
    conf = 'type=task\nautostart=no\nstart=echo web run >> /tmp/ledger; sleep 0.02; echo web end >> /tmp/ledger\n'

    def act(self, stage):
        stage.dmctl('start', 'web')
        stage.until(lambda: states(stage.w).get('web') in ('done', 'failed'), 'it is done')

    def check(self, stage):
        stage.settles('it has ended', lambda it: it['web'] in ('done', 'failed', 'stopped'))
        runs, ends, state = len(ledger('run')), len(ledger('end')), states(stage.w)['web']
        stage.must(runs == ends and runs <= 1, 'it was run twice')
        if state in ('done', 'failed'):
            stage.must(runs == 1, f'it is said to be {state} and was never run')
        if stage.answered('start', 'web'):
            stage.must(runs == 1, 'it was never run')
            stage.must(state in ('done', 'failed'), f'it is {state}')
        if state == 'failed':
            stage.count('the end of a task is unknown')


class Success(Plain):
    """restart=on-failure: after its success it is not run again."""
    conf = 'autostart=no\nrestart=on-failure\ncooldown=100ms\nstart=echo web run >> /tmp/ledger\n'

    def act(self, stage):
        stage.dmctl('start', 'web')
        stage.until(lambda: states(stage.w).get('web') in ('done', 'failed'), 'it is done')

    def check(self, stage):
        runs = len(ledger('run'))
        if runs > 0:
            stage.settles('it is done', lambda it: it['web'] == 'done')
        if runs > 1:
            stage.count('it was run again, as its end is unknown')
            deeds = history(stage.w, 'web')
            first, *rest = [i for i, deed in enumerate(deeds) if deed.startswith('started')][-runs:]
            stage.must('ended with exit code 0' not in ''.join(deeds[first:rest[-1]]), 'it was run again after its success')
            stage.must(not any('by david' in deeds[i] for i in rest), 'a repeated dmctl start ran it again')


class GivesUp(Plain):
    """give_up_after: one that failed so often stays failed."""
    conf = 'autostart=no\ngive_up_after=2/1h\ncooldown=100ms\nstart=echo web run >> /tmp/ledger; exit 3\n'

    def act(self, stage):
        stage.dmctl('start', 'web')
        stage.until(lambda: states(stage.w).get('web') == 'failed', 'it is failed')

    def check(self, stage):
        if ledger('run'):
            stage.settles('it is failed', lambda it: it['web'] == 'failed')
            if len(ledger('run')) != 2:
                stage.count(f'{len(ledger("run"))} runs, {stage.starts()} starts')
            stage.must(sum('given up' in deed for deed in history(stage.w, 'web')[-4:]) <= 1, f'told twice: {history(stage.w, "web")}')
        # what is failed stays so
        if stage.part == 'monitor' and ledger('run'):
            runs = len(ledger('run'))
            wreck.kill_manager(stage.w)
            stage.w.start()
            stage.w.dmctl('david', 'rescan')
            stage.must(states(stage.w)['web'] == 'failed' and len(ledger('run')) == runs, 'it is failed no more')


class Arms(Plain):
    """start_on=connection: who connects is answered in the end."""
    conf = 'autostart=no\nstart_on=connection\nlisten=/home/david/web.sock\nstart=/srv/server\n'

    def scripts(self, w):
        w.script('/srv/server', SERVER)

    def act(self, stage):
        stage.dmctl('start', 'web')
        with socket.socket(socket.AF_UNIX) as peer:
            peer.setblocking(False)
            try:
                peer.connect('/home/david/web.sock')
                stage.until(lambda: select.select([peer], [], [], 0)[0], 'it answers')
                stage.must(peer.recv(10), 'it was cut off')
            except (ConnectionError, FileNotFoundError):
                stage.until(lambda: stage.part == 'worker', 'the monitor is dead')  # its sockets went with it
                stage.must(stage.part == 'monitor', 'he was refused')
        stage.dmctl('stop', 'web')

    def check(self, stage):
        stage.must(len(ledger('run')) <= 1, 'it was started twice')
        if stage.answered('stop', 'web'):
            stage.settles('what was stopped is stopped', lambda it: it['web'] == 'stopped')
            stage.must(not os.path.exists('/home/david/web.sock') or stage.dead, 'its socket is left')
        elif stage.answered('start', 'web') and not stage.asked('stop', 'web'):
            stage.settles('it is there', lambda it: it['web'] in ('running', 'listening'))
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(SETTLE)
                peer.connect('/home/david/web.sock')
                stage.must(peer.recv(10), 'it was cut off')


class Listens(Plain):
    """listen=: over a restart nobody is refused while there is a manager."""
    conf = 'autostart=no\nlisten=/home/david/web.sock\nstart=/srv/server\n'

    def scripts(self, w):
        w.script('/srv/server', SERVER)

    def begin(self, stage):
        stage.w.dmctl('david', 'start', 'web').exits(0)
        self.node = os.stat('/home/david/web.sock').st_ino
        self.pid = stage.w.rows('david')['david/web'].pid

    def act(self, stage):
        asked = stage.w.background('david', world.DMCTL, 'restart', 'web')
        try:
            while asked.poll() is None:
                self.ask(stage)
                if stage.look():
                    raise Over
                time.sleep(0.003)
        finally:
            asked.communicate()

    def ask(self, stage):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(SETTLE)
            try:
                peer.connect('/home/david/web.sock')
            except (ConnectionRefusedError, FileNotFoundError):
                stage.must(stage.part == 'monitor' and (stage.look() or time.sleep(0.05) or stage.look()), 'somebody was refused')

    def check(self, stage):
        stage.settles('it runs', lambda it: it['web'] == 'running')
        self.ask(stage)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(SETTLE)
            peer.connect('/home/david/web.sock')
            stage.must(peer.recv(10), 'it was cut off')
        if stage.w.rows('david')['david/web'].pid == self.pid:
            stage.must(os.stat('/home/david/web.sock').st_ino == self.node, 'its socket was made anew')


class Scale(Plain):
    """instances= and scale: what scale was answered counts."""
    conf = 'autostart=no\ninstances=2\nstart=echo web run %i >> /tmp/ledger; exec sleep 100%i\n'
    names = ['web']

    def begin(self, stage):
        stage.w.dmctl('david', 'scale', 'web', '2')
        stage.w.dmctl('david', 'start', 'web').exits(0)
        stage.settles('both run', lambda it: it == {'web:1': 'running', 'web:2': 'running'})

    def act(self, stage):
        stage.dmctl('scale', 'web', '3')
        stage.dmctl('scale', 'web', '1')

    def check(self, stage):
        def sizes(sizes):
            stage.settles(f'there are {sizes}', lambda it: len(it) in sizes and all(state == 'running' for state in it.values()))
        if stage.answered('scale', 'web', '1'):
            sizes([1])
        elif stage.asked('scale', 'web', '1'):
            sizes([1, 3])
        elif stage.answered('scale', 'web', '3'):
            sizes([3])
        else:
            stage.settles('two or three', lambda it: len(it) in (2, 3) and it['web:1'] == 'running' and it['web:2'] == 'running')

    def restore(self, stage):
        stage.w.dmctl('david', 'stop', 'web')
        stage.settles('all are stopped', lambda it: all(state == 'stopped' for state in it.values()))


class Requires(Plain):
    """requires=: what is required is there first, and goes last."""
    conf = 'autostart=no\nready=fd:3\nstart_timeout=1s\nstart=echo web run >> /tmp/ledger; echo >&3; trap "echo web ends >> /tmp/ledger; exit" TERM; while :; do sleep 0.01; done\n'
    confs = {'user': 'autostart=no\nrequires=web\nstart=echo user run >> /tmp/ledger; trap "echo user ends >> /tmp/ledger; exit" TERM; while :; do sleep 0.01; done\n'}
    names = ['user', 'web']

    def act(self, stage):
        stage.dmctl('start', 'user')
        stage.until(lambda: ledger('user run'), 'it runs')
        stage.dmctl('stop', 'web', '--with-dependants')

    def check(self, stage):
        stop = ('stop', 'web', '--with-dependants')
        if stage.answered(*stop):
            stage.settles('both are stopped', lambda it: it['user'] == it['web'] == 'stopped')
        elif stage.answered('start', 'user') and not stage.asked(*stop):
            stage.settles('both run', lambda it: it['user'] == it['web'] == 'running')
        else:
            stage.settles('all come to rest', settled)
            it = states(stage.w)
            stage.must((it['user'], it['web']) != ('running', 'stopped'), 'what is required is not there')
        lines = ledger()
        stage.must(lines.count('web run') <= 1 and lines.count('user run') <= 1, 'one was started twice')
        if 'user run' in lines:
            stage.must('web run' in lines[:lines.index('user run')], 'what is required was not there first')
        if 'web ends' in lines and 'user run' in lines:
            stage.must('user ends' in lines[:lines.index('web ends')], 'what is required went first')

    def restore(self, stage):
        stage.w.dmctl('david', 'stop', 'web', '--with-dependants')
        super().restore(stage)


class CallsOff(Plain):
    """One in its cooldown is stopped: it is not started again."""
    conf = 'autostart=no\ncooldown=1h\nstart=echo web run >> /tmp/ledger; exit 3\n'

    def begin(self, stage):
        stage.w.dmctl('david', 'start', 'web')
        stage.settles('it waits', lambda it: it['web'] == 'cooldown')

    def act(self, stage):
        stage.dmctl('stop', 'web')

    def check(self, stage):
        if stage.answered('stop', 'web'):
            stage.settles('what was stopped is stopped', lambda it: it['web'] == 'stopped')
        stage.must(len(ledger('run')) <= 1, 'it was started again')
        if states(stage.w)['web'] == 'cooldown':
            stage.w.dmctl('david', 'stop', 'web').exits(0)


class Enables(Plain):
    """enable and disable: the conf is whole, and says what was answered."""
    def act(self, stage):
        stage.dmctl('enable', 'web')
        stage.dmctl('disable', 'web')

    def check(self, stage):
        with open(stage.w.conf_path('david', 'web')) as conf:
            text = conf.read()
        stage.must('start=echo' in text and text.count('autostart=') == 1, f'the conf is damaged: {text}')
        if stage.answered('disable', 'web'):
            stage.must('autostart=no' in text, text)
        elif stage.answered('enable', 'web') and not stage.asked('disable', 'web'):
            stage.must('autostart=yes' in text, text)

    def restore(self, stage):
        stage.w.dmctl('david', 'disable', 'web')
        super().restore(stage)


class Logs(Plain):
    """output=log: no line is lost or doubled."""
    conf = ('autostart=no\noutput=log\nlog_stamp=none\nstart=i=0; while [ $i -lt 60 ]; do echo "line $i"; i=$((i+1)); done; '
            'echo web run >> /tmp/ledger; exec sleep 1001\n')
    log = '/home/david/.daemon-manager/logs/web.log'

    def begin(self, stage):
        self.skip = os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def lines(self):
        with open(self.log) as text:
            text.seek(self.skip)
            return [line.strip() for line in text if line.startswith('line ')]

    def check(self, stage):
        super().check(stage)
        if ledger('run'):
            wanted = [f'line {i}' for i in range(60)]
            def all_there():
                return os.path.exists(self.log) and len(self.lines()) >= 60
            try:
                world.wait_for(all_there, 'all lines', min(SETTLE, 10.0) if SETTLE != world.PATIENCE else SETTLE)
            except AssertionError:
                pass
            stage.must(self.lines() == wanted, f'the log: {self.lines()}')


class Crashes(Plain):
    """A daemon crashes: it comes back once, and that is counted once."""
    conf = f'autostart=no\ncooldown=100ms\nstart={RUN}\n'

    def begin(self, stage):
        stage.w.dmctl('david', 'start', 'web').exits(0)
        self.row = stage.w.rows('david')['david/web']

    def act(self, stage):
        os.kill(self.row.pid, signal.SIGKILL)
        stage.until(lambda: len(ledger('run')) > 1, 'it is back')
        stage.until(lambda: states(stage.w).get('web') == 'running', 'it runs')

    def check(self, stage):
        stage.settles('it is back', lambda it: it['web'] == 'running' and len(ledger('run')) == 2)
        row = stage.w.rows('david')['david/web']
        stage.must(row.respawns == self.row.respawns + 1, f'respawns {self.row.respawns} -> {row.respawns}')
        stage.must(len(ledger('run')) == 2, 'it came back twice')


SCENARIOS = {kind.__name__.lower(): kind for kind in (
    Plain, Notify, Newline, Connects, Before, AfterExit, StopCommand, Reload, Task, Success, GivesUp, Arms, Listens, Scale, Requires,
    CallsOff, Enables, Logs, Crashes)}


def call_name(number):
    names = getattr(call_name, 'names', None)
    if names is None:
        names = call_name.names = {}
        with contextlib.suppress(OSError), open('/usr/include/x86_64-linux-gnu/asm/unistd_64.h') as header:
            for line in header:
                fields = line.split()
                if len(fields) == 3 and fields[1].startswith('__NR_'):
                    names[int(fields[2])] = fields[1][5:]
    return names.get(number, str(number))


class Series:
    """One scenario with one part killed, step after step."""

    def __init__(self, w, name, part):
        self.w, self.name, self.part = w, name, part
        self.scenario = SCENARIOS[name]()
        self.counts = collections.Counter()
        self.killed = 0
        self.set_up()

    def set_up(self):
        self.w.reset()
        os.chmod('/tmp', 0o777)
        os.chmod('/home/david', 0o711)
        self.scenario.scripts(self.w)
        self.w.conf('david', 'web', 'dir=/\n' + self.scenario.conf)
        for other, text in self.scenario.confs.items():
            self.w.conf('david', other, 'dir=/\n' + text)
        self.w.start(CONFIG)
        self.began_at = time.monotonic()

    def once(self, last):
        """Kills it at step `last`. True where the scenario came that far."""
        w, scenario = self.w, self.scenario
        stage = Stage(w, self.part)
        stage.began_at, stage.count = self.began_at, lambda what: self.counts.update([what])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(LEDGER)
        w.dmctl('david', 'rescan')
        said = len(w.log())
        stage.starts = lambda: w.log()[said:].count('start david/web: allowed')
        scenario.begin(stage)
        stage.arm(last)
        self.where = 'not killed'
        try:
            with contextlib.suppress(Over):
                scenario.act(stage)
                stage.linger()
        finally:
            died = stage.killer.end()
        if not died and stage.look():  # just then
            died = [-1, True]
        if died:
            self.killed += 1
            self.where = f'{"before" if died[1] else "after"} {call_name(died[0])}'
            world.wait_for(stage.look, 'its death is seen')
        world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'the manager serves')
        w.dmctl('david', 'rescan')
        if not isinstance(scenario, (Notify, CallsOff)):
            stage.settles('all come to rest', settled)
        scenario.check(stage)
        check_world(stage)
        scenario.restore(stage)
        if self.part == 'worker' and died:  # the next worker that dies would be waited for
            wreck.kill_manager(w)
            w.start()
        return died is not None


def inside(names, parts, stride, first):
    w = world.enter()
    for name in names:
        for part in parts:
            begin = time.monotonic()
            series, k, bad = Series(w, name, part), first, 0
            while bad < 40:
                try:
                    if not series.once(k):
                        break
                except Exception as problem:
                    bad += 1
                    print(f'VIOLATION {name} {part} step {k} ({series.where}): {type(problem).__name__} {problem}\n'
                          f'{chr(10).join(w.log().splitlines()[-4:])}\n', flush=True)
                    if os.environ.get('DM_TRACE'):
                        import traceback
                        traceback.print_exc()
                        print(w.log()[-3000:])
                    counts = series.counts
                    killed = series.killed
                    series = Series(w, name, part)
                    series.counts, series.killed = counts, killed
                k += stride
            print(f'{name} {part}: {series.killed} killed, {bad} violations, {time.monotonic() - begin:.0f} s, {dict(series.counts)}', flush=True)
    return 0


def main():
    if sys.argv[1:2] == ['--inside']:
        return inside(*json.loads(sys.argv[2]))
    if len(sys.argv) < 2 or os.geteuid() != 0:
        print(__doc__)
        return 2
    names = list(SCENARIOS) if sys.argv[2:3] in ([], ['all']) else sys.argv[2].split(',')
    parts = [sys.argv[3]] if len(sys.argv) > 3 else ['monitor', 'worker']
    stride, first = (int(it) for it in (sys.argv[4:6] + ['1', '1'][len(sys.argv[4:6]):]))
    return world.outside([sys.executable, os.path.abspath(__file__), '--inside', json.dumps([names, parts, stride, first])],
                         os.path.abspath(sys.argv[1]))


if __name__ == '__main__':
    sys.exit(main())
