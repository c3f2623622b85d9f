"""System calls that fail: nothing is given up but the one operation, whoever asked for it is told, and afterwards all works.

The faults are injected with strace, which is attached to the monitor (not to its children) or to the worker. The worker's filter
forbids the call that strace makes of an injected one: so the build with the sanitizers, whose filter lets everything pass, stands
for it, and otherwise the limits of the kernel itself are lowered."""
import contextlib
import errno
import os
import signal
import subprocess
import time

import world
from sanitized import not_sanitized, only_sanitized
import wreck

CONFIG = '[runs_as]\ndavid\namy\n[limits]\n*: starts=1000, daemons={daemons}\n'
ERRORS = ('EAGAIN', 'EMFILE', 'ENOMEM', 'ENOSPC')


class _Fault:
    def __init__(self, pid, call, error, when):
        self.path = f'/tmp/strace-{time.monotonic_ns()}'
        self.process = subprocess.Popen(
            ['strace', '-p', str(pid), '-o', self.path, '-e', f'trace={call}', '-e', f'inject={call}:error={error}:when={when}'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        assert 'attached' in said, said

    def hits(self):
        with open(self.path) as lines:
            return lines.read().count('(INJECTED)')

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stderr.close()
        hits = self.hits()
        os.unlink(self.path)
        return hits


@contextlib.contextmanager
def _fault(pid, call, error, when='1+'):
    """While it lasts these calls (the `when`-th from now on, N or N+) of one process fail."""
    fault = _Fault(pid, call, error, when)
    try:
        yield fault
    finally:
        if fault.process.poll() is None:
            fault.hit = fault.end()


def _told(answer, error):
    """It either worked, or its error says what went wrong."""
    reason = os.strerror(getattr(errno, error))
    assert answer.code == 0 or (answer.code == 1 and (reason in answer.text or 'try again' in answer.text)), f'{error}: {answer!r}'


def _begin(w):
    """One daemon that must never notice, and one that is started and stopped under the faults."""
    w.conf('amy', 'bystander', 'dir=/\noutput=log\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=sleep 1001\n')
    w.start(CONFIG.format(daemons=1000))
    w.bystander = w.up('amy/bystander')
    w.wait_state('david/web', 'stopped')
    w.monitor = w.manager.pid
    w.dmctl('david', 'start', 'web').exits(0)
    w.dmctl('david', 'stop', 'web').exits(0)


def _sound(w, what):
    """After the fault: the same monitor, the bystander untouched, and all works."""
    assert w.manager.poll() is None, f'{what}: the monitor ended with {w.manager.returncode}\n{w.log()}'
    assert w.up('amy/bystander') == w.bystander, f'{what}: the bystander was touched'
    w.dmctl('david', 'start', 'web').exits(0)
    assert len(w.find('sleep 1001')) == 1, f'{what}: {w.find("sleep 1001")}'
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 1001'), what


def _sweep(w, call, errors=ERRORS):
    """Lets each of the monitor's calls of this name fail in turn, one at a time, while a daemon is started, crashes and is stopped."""
    _begin(w)
    for error in errors:
        place = 0
        while True:
            place += 1
            what = f'{call} no. {place} fails with {error}'
            for pid in w.of_user('david'):  # dm-log: it has to be made anew
                os.kill(pid, signal.SIGKILL)
            with _fault(w.monitor, call, error, str(place)) as fault:
                _told(w.dmctl('david', 'start', 'web'), error)
                for pid in w.find('sleep 1001'):
                    os.kill(pid, signal.SIGKILL)
                _told(w.dmctl('david', 'start', 'web'), error)
                _told(w.dmctl('david', 'stop', 'web'), error)
            _sound(w, what)
            if not fault.hit:
                assert place > 1, f'{call} is never called'
                break
            assert place < 60, f'{call} does not come to an end'


def fork_fails(w):
    """A fork that fails, each in turn, is told to whoever asked for what needed it."""
    _sweep(w, 'clone3', ('EAGAIN', 'ENOMEM'))


def memfd_fails(w):
    """A memfd that cannot be made, each in turn, is told as the reason why the confs could not be read."""
    _sweep(w, 'memfd_create', ('EMFILE', 'ENOMEM'))


def unread_conf_runs_nothing(w):
    """Where the confs cannot be read a restart restarts nothing and a start starts nothing by what was read before: both say why, and
    work when they can be read again."""
    _begin(w)
    w.dmctl('david', 'start', 'web').exits(0)
    pid = w.up('david/web')
    w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=sleep 1003\n')
    for call, error in (('memfd_create', 'ENOMEM'), ('clone3', 'EAGAIN')):
        with _fault(w.monitor, call, error) as fault:
            w.dmctl('david', 'restart', 'web').exits(1).says('its conf could not be read', 'it was not restarted', os.strerror(getattr(errno, error)))
        assert fault.hit and w.up('david/web') == pid
        w.dmctl('david', 'stop', 'web').exits(0)
        with _fault(w.monitor, call, error) as fault:
            w.dmctl('david', 'start', 'web').exits(1).says('its conf could not be read', 'it is not started', os.strerror(getattr(errno, error)))
        assert fault.hit and not w.find('sleep 1001') and not w.find('sleep 1003') and w.row('david/web').state == 'stopped'
        w.dmctl('david', 'restart', 'web').exits(0)
        pid = w.up('david/web')
        assert w.find('sleep 1003') == [pid] and not w.find('sleep 1001')
        w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=sleep 1001\n')
        w.dmctl('david', 'restart', 'web').exits(0)
        pid = w.up('david/web')
        w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=sleep 1003\n')


def rescan_fails(w):
    """A rescan that cannot be done is told to whoever asked for it, with the reason."""
    _begin(w)
    for call, error in (('memfd_create', 'EMFILE'), ('memfd_create', 'ENOMEM'), ('clone3', 'EAGAIN'), ('clone3', 'ENOMEM')):
        with _fault(w.monitor, call, error) as fault:
            answer = w.dmctl('david', 'rescan').exits(1)
            assert os.strerror(getattr(errno, error)) in answer.text, f'{call} {error}: {answer!r}'
        assert fault.hit
        w.dmctl('david', 'rescan').exits(0)
        _sound(w, f'{call} fails with {error}')


def pipe_fails(w):
    """A pipe that cannot be made is told to whoever wanted a start."""
    _sweep(w, 'pipe2', ('EMFILE', 'ENOMEM'))


def mkdir_fails(w):
    """A cgroup that cannot be made is told to whoever wanted a start."""
    _sweep(w, 'mkdirat')


def fifo_fails(w):
    """A FIFO that cannot be made is told to whoever wanted a start."""
    _begin(w)
    for error in ('ENOSPC', 'ENOMEM'):
        w.conf('david', 'new', 'dir=/\noutput=log\nautostart=no\nstart=sleep 1003\n')
        w.dmctl('david', 'rescan').exits(0)
        with _fault(w.monitor, 'mknodat', error) as fault:
            answer = w.dmctl('david', 'start', 'new').exits(1)
            _told(answer, error)
        assert fault.hit
        w.dmctl('david', 'start', 'new').exits(0)
        os.unlink(w.conf_path('david', 'new'))
        w.dmctl('david', 'rescan').exits(0)
        _sound(w, f'mknodat fails with {error}')


def open_fails(w):
    """An open that fails, each in turn, is told, and the descriptors that were open already are not lost."""
    _sweep(w, 'openat', ('EMFILE', 'ENOMEM'))


def socket_fails(w):
    """A socket or socketpair that cannot be made costs no more than the helper it was for; it is made when it can be."""
    _begin(w)
    for error in ('EMFILE', 'ENOMEM'):
        with _fault(w.monitor, 'socketpair', error) as fault:
            wreck.kill_worker(w)  # the next one needs a pair, and so does the dm-log that goes with it
            w.wait_log('no socket, process or event')
            world.wait_for(lambda: fault.hits() >= 2, 'it is tried again')
        _sound(w, f'socketpair fails with {error}')


def epoll_fails(w):
    """A descriptor that cannot be watched costs one start at most, and no daemon is left that is not followed."""
    _sweep(w, 'epoll_ctl', ('ENOMEM', 'ENOSPC'))


def receive_fails(w):
    """A message that cannot be received now is received later: the worker, who did nothing wrong, is not replaced."""
    _begin(w)
    worker = w.worker()
    for error in ('EAGAIN', 'ENOMEM'):
        for place in range(1, 8):
            with _fault(w.monitor, 'recvmsg', error, str(place)) as fault:
                w.dmctl('david', 'start', 'web').exits(0)
                w.dmctl('david', 'stop', 'web').exits(0)
            assert fault.hit
            _sound(w, f'recvmsg no. {place} fails with {error}')
    assert w.worker() == worker, w.log()


def send_fails(w):
    """A message that the socket does not take is told later."""
    _begin(w)
    worker = w.worker()
    for error in ('EAGAIN', 'ENOMEM', 'ENOBUFS'):
        for place in range(1, 8):
            with _fault(w.monitor, 'sendmsg', error, str(place)):
                w.dmctl('david', 'start', 'web').exits(0)
                w.dmctl('david', 'stop', 'web').exits(0)
            _sound(w, f'sendmsg no. {place} fails with {error}')
    assert w.worker() == worker, w.log()


def a_fork_that_goes_on_failing(w):
    """While no process can be made at all whoever asks is told so, daemons run on, a dead worker is missed and comes back in the end."""
    _begin(w)
    with _fault(w.monitor, 'clone3', 'EAGAIN'):
        for _ in range(3):
            answer = w.dmctl('david', 'start', 'web').exits(1)
            _told(answer, 'EAGAIN')
        wreck.kill_worker(w)
        w.wait_log('cannot start the worker')
        assert w.alive(w.bystander)
    _sound(w, 'fork failed for a while')


def a_reload_that_cannot_be_done(w):
    """A reload that fails for want of anything keeps the old policy and says so; the worker after it has that policy still."""
    _begin(w)
    for call in ('clone3', 'memfd_create', 'openat', 'fcntl', 'mmap'):
        place = 0
        while True:
            place += 1
            before = w.log().count('read again') + w.log().count('old policy') + w.log().count('cannot read the master config')
            with _fault(w.monitor, call, 'EAGAIN' if call == 'clone3' else 'ENOMEM', str(place)) as fault:
                w.manager.send_signal(signal.SIGHUP)
                world.wait_for(lambda: w.log().count('read again') + w.log().count('old policy') +
                               w.log().count('cannot read the master config') > before, lambda: f'{call} {place}: it is said:\n{w.log()}')
            wreck.kill_worker(w)
            _sound(w, f'{call} no. {place} fails in a reload')
            # A new policy is no fault of the worker's: the next that is killed is replaced at once again.
            w.reload(CONFIG.format(daemons=1000 + place % 2))
            if not fault.hit:
                break
            assert place < 20


def an_upgrade_that_cannot_be_done(w):
    """An upgrade for which anything is wanting is refused, with nothing half done; the next one is taken."""
    _begin(w)
    for call, error in (('clone3', 'EAGAIN'), ('memfd_create', 'EMFILE'), ('write', 'ENOSPC'), ('fcntl', 'EMFILE'), ('execve', 'ENOMEM')):
        for place in range(1, 4):
            with _fault(w.monitor, call, error, str(place)) as fault:
                answer = w.run('root', world.MANAGER, '--upgrade', timeout=world.PATIENCE)
                assert answer.code in (0, 1), repr(answer)
            if fault.process.returncode is None:
                fault.end()
            world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
            _sound(w, f'{call} no. {place} fails in an upgrade')
    w.run('root', world.MANAGER, '--upgrade', timeout=world.PATIENCE).exits(0)
    _sound(w, 'upgraded')


# ---- what older or stricter kernels lack

def ends_that_the_kernel_does_not_tell(w):
    """Where the kernel has no PIDFD_GET_INFO the end of a daemon that was taken over is told as unknown, at once, and it comes back."""
    w.script('/srv/told', '#!/bin/sh\ntrap "exit 42" USR1\ntouch /tmp/ready\nwhile :; do sleep 0.05; done\n')
    w.conf('david', 'web', 'dir=/\ncooldown=1h\nstart=/srv/told\n')
    w.start()
    pid = w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'it has its trap')
    wreck.kill_manager(w)
    w.start()
    assert w.up('david/web') == pid
    with _fault(w.manager.pid, 'ioctl', 'ENOTTY') as fault:
        os.kill(pid, signal.SIGUSR1)
        w.wait_state('david/web', 'cooldown', 4)  # before it is given up as not told
    assert fault.hit
    said = w.wait_note('david/web', 'unknown')
    assert '42' not in said, said
    w.dmctl('david', 'start', 'web').exits(0)
    assert w.up('david/web') != pid


def sockets_that_cannot_be_taken_back(w):
    """Where pidfd_getfd is forbidden a daemon that is taken over serves on, nobody is told to end it, and a restart makes its socket anew."""
    w.conf('david', 'web', 'dir=/\nlisten=%h/web.sock\nstart=sleep 1001\n')
    w.conf('david', 'shell', 'dir=/\nlisten=%h/shell.sock\nstart=sleep 1002; true\n')
    w.start()
    pids = wreck.pids_of(w, ['david/web', 'david/shell'])
    wreck.kill_manager(w)
    with open(w.log_file, 'a') as log:
        w.manager = subprocess.Popen(['strace', '-D', '-o', '/tmp/strace', '-e', 'trace=pidfd_getfd', '-e', 'inject=pidfd_getfd:error=EPERM', world.MANAGER],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd='/', env={'PATH': world.PATH})
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    w.wait_log('david/web is without its listening sockets', 'david/shell is without its listening sockets')
    with open('/tmp/strace') as calls:
        assert '(INJECTED)' in calls.read()
    assert wreck.pids_of(w, pids) == pids
    for name in pids:
        line = next(line for line in w.log().splitlines() if line.startswith(name + ' is without'))
        assert 'most likely the daemon itself' in line and 'a restart makes the socket anew' in line and 'nd it' not in line, line
    for name, pid in pids.items():
        w.dmctl('david', 'restart', name.split('/')[1]).exits(0)
        assert w.up(name) != pid
    assert w.manager.poll() is None


# ---- the worker

@contextlib.contextmanager
def _limited(w, worker, what, value):
    """While it lasts the worker's soft limit is `value`. Its own user sets it: on some machines root lacks CAP_SYS_RESOURCE."""
    with open(f'/proc/{worker}/limits') as limits:
        before = next(line[26:].split()[0] for line in limits if line.startswith({'nofile': 'Max open files', 'as': 'Max address space'}[what]))
    w.run('_daemon-manager', 'prlimit', '--pid', str(worker), f'--{what}={value}:').exits(0)
    try:
        yield
    finally:
        if w.alive(worker):
            w.run('_daemon-manager', 'prlimit', '--pid', str(worker), f'--{what}={before}:').exits(0)


def _descriptors(worker):
    """A limit that is just reached: the lowest number that is free."""
    open_now = {int(fd) for fd in os.listdir(f'/proc/{worker}/fd')}
    return min(set(range(len(open_now) + 1)) - open_now)


def _cpu_ticks(pid):
    with open(f'/proc/{pid}/stat') as stat:
        return sum(int(field) for field in stat.read().rsplit(')', 1)[1].split()[11:13])


LATER = {'recvmsg': ('EAGAIN', 'EINTR', 'ENOMEM', 'ENOBUFS'),
         'accept4': ('EAGAIN', 'EINTR', 'ECONNABORTED', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'),
         'recvfrom': ('EAGAIN', 'EINTR'),
         'sendto': ('EAGAIN', 'EINTR', 'ENOMEM', 'ENOBUFS'),
         'epoll_wait': ('EINTR',)}


@only_sanitized('its filter forbids the call that strace makes of an injected one')
def calls_of_the_worker_fail(w):
    """What the worker cannot take, accept or send just now it takes, accepts and sends later, whatever the reason: each call and
    error in turn, and nobody who asks notices."""
    _begin(w)
    worker = w.worker()
    for call, errors in LATER.items():
        for error in errors:
            for when in ('1', '2', '3', '1+3'):
                with _fault(worker, call, error, when) as fault:
                    w.dmctl('david', 'start', 'web').exits(0)
                    w.dmctl('david', 'stop', 'web').exits(0)
                assert fault.hit or when != '1', f'{call} {error}: never called'
                assert w.worker() == worker, f'{call} {error} {when}:\n{w.log()}'
    _sound(w, 'the last')


def frozen_while_it_drains(w):
    """Processes that are left, frozen and thawed by somebody while they are waited for, keep the monitor from nothing: it sleeps."""
    w.conf('david', 'left', 'dir=/\nstop_timeout=1h\nstart=(trap "" TERM; exec sleep 1002) & exec sleep 1001\n')
    w.start(CONFIG.format(daemons=100))
    main = w.up('david/left')
    world.wait_for(lambda: w.find('sleep 1002') and not w.find('trap'), 'its child has its trap')
    tree = world.cgroup_mount() + next(line[3:] for line in open(f'/proc/{main}/cgroup') if line.startswith('0::')).strip()
    stop = w.background('david', world.DMCTL, 'stop', 'left')
    w.gone('sleep 1001')
    w.wait_state('david/left', 'stopping')
    for state in '1', '0':
        with open(tree + '/cgroup.freeze', 'w') as freeze:
            freeze.write(state)
        world.wait_for(lambda: f'frozen {state}' in open(tree + '/cgroup.events').read(), f'frozen {state}')
    busy = _cpu_ticks(w.manager.pid)
    time.sleep(1)
    assert _cpu_ticks(w.manager.pid) - busy < 20, 'it turned round and round'  # of 100 in a second
    os.kill(*w.find('sleep 1002'), signal.SIGKILL)
    said, _ = stop.communicate(timeout=world.PATIENCE)
    assert stop.returncode == 0, said


STATES = {'before': 'before=sleep 1002\nstart=sleep 1001\n', 'ready': 'ready=notify\nstart_timeout=1h\nstart=sleep 1001\n', 'runs': 'output=log\nstart=sleep 1001\n',
          'listens': 'listen=%h/s\nstart_on=connection\nstart=sleep 1001\n', 'held': 'listen=%h/t\nstart=sleep 1001\n',
          'waits': 'requires=ready\nstart=sleep 1001\n', 'cools': 'cooldown=1h\nstart=exit 1\n', 'rests': 'restart=never\nstart=exit 0\n',
          'after': 'stop_timeout=1h\nafter_exit=sleep 1003\nstart=exit 1\n', 'reloads': 'reload=sleep 1004\nstart=sleep 1001\n',
          'ends': 'stop_timeout=1h\nstart=trap "" TERM; sleep 1005; true\n', 'asked': 'stop_timeout=1h\nstop=sleep 1006\nstart=sleep 1001\n',
          'left': 'stop_timeout=1h\nstart=(trap "" TERM; exec sleep 1007) & exec sleep 1008\n', 'watched': 'ready=notify\nwatchdog=1h\nstart=exec sleep 1001\n'}


def sleeps_in_every_state(w):
    """Whatever daemons are at, and whoever waits for them, monitor and worker sleep until something happens."""
    for name, text in STATES.items():
        w.conf('david', name, 'dir=/\n' + text)
    w.start(CONFIG.format(daemons=100))
    for name in 'reloads', 'ends', 'asked', 'left':
        w.up('david/' + name)
    world.wait_for(lambda: w.find('sleep 1005') and w.find('sleep 1007') and w.find('sleep 1008'), 'they have their traps')
    waiting = [w.background('david', world.DMCTL, *words) for words in (('reload', 'reloads'), ('stop', 'ends', 'asked', 'left'), ('start', 'ready'))]
    w.gone('sleep 1008')
    for needle in 'sleep 1002', 'sleep 1003', 'sleep 1004', 'sleep 1006':
        world.wait_for(lambda: w.find(needle), needle)
    expected = {'before': 'starting', 'ready': 'starting', 'runs': 'running', 'listens': 'listening', 'held': 'running', 'waits': 'waiting', 'cools': 'cooldown',
                'rests': 'done', 'after': 'cooldown', 'reloads': 'running', 'ends': 'stopping', 'asked': 'stopping', 'left': 'stopping', 'watched': 'starting'}
    for name, state in expected.items():
        w.wait_state('david/' + name, state)
    busy = [_cpu_ticks(pid) for pid in (w.manager.pid, w.worker())]
    time.sleep(1)
    assert all(_cpu_ticks(pid) - before < 20 for pid, before in zip((w.manager.pid, w.worker()), busy)), 'it turned round and round'  # of 100 in a second
    for one in waiting:
        one.kill()
        one.communicate()


def worker_without_descriptors(w):
    """A worker that may open nothing more serves whom it has, keeps the others waiting, and serves them when it may again."""
    _begin(w)
    worker = w.worker()
    with _limited(w, worker, 'nofile', _descriptors(worker)):
        askers = [w.background('david', world.DMCTL, 'status', 'web') for _ in range(5)]
        busy = _cpu_ticks(worker)
        time.sleep(1)
        assert _cpu_ticks(worker) - busy < 20, 'it turned round and round'  # of 100 in a second
        assert w.alive(w.bystander) and all(asker.poll() is None for asker in askers)
    for asker in askers:
        said, _ = asker.communicate(timeout=world.PATIENCE)
        assert asker.returncode == 3 and 'david/web' in said, (asker.returncode, said)  # 3: it is stopped
    assert w.worker() == worker
    _sound(w, 'the worker had no descriptors')


def worker_that_cannot_take_a_book(w):
    """A book for which the worker has no descriptor is told to whoever asked for it as not read, and is read when he asks again."""
    _begin(w)
    worker = w.worker()
    w.conf('david', 'new', 'dir=/\nstart=sleep 1003\n')
    with _limited(w, worker, 'nofile', _descriptors(worker) + 1):  # one more: the connection
        answer = w.dmctl('david', 'rescan')
        assert answer.code == 1 and 'could not be read' in answer.text, repr(answer)
    w.dmctl('david', 'rescan').exits(0)
    w.up('david/new')
    assert w.worker() == worker
    _sound(w, 'the worker could not take a book')


@not_sanitized('its runtime does not bear it')
def worker_without_memory(w):
    """A worker that runs out of memory is replaced; no daemon notices and nothing that was known is lost."""
    _begin(w)
    worker = w.worker()
    before = w.rows()
    for i in range(90):
        w.conf('david', f'n{i:03}', 'dir=/\nautostart=no\nstart=sleep 1003\n#' + 'x' * 8000 + '\n')
    with _limited(w, worker, 'as', 4096):
        answer = w.dmctl('david', 'rescan')
    if answer.code != 0:
        assert 'try again' in answer.text, repr(answer)
        w.dmctl('david', 'rescan').exits(0)
    after = w.rows()
    assert all((after[name].state, after[name].pid) == (row.state, row.pid) for name, row in before.items())
    _sound(w, 'the worker had no memory')


# ---- the disk

def full_run(w):
    """With /run full no daemon stops and the monitor does not end; what needs room there is refused with the reason, and works
    again when there is some."""
    world.mount('-t', 'tmpfs', '-o', 'size=8m,mode=0755', 'small', '/run')
    w.clear_run(furnish=True)
    try:
        _begin(w)
        filler = os.open('/run/filler', os.O_CREAT | os.O_WRONLY)
        with contextlib.suppress(OSError):
            while True:
                os.write(filler, b'x' * 4096)
        os.close(filler)
        for i in range(400):
            w.conf('david', f'd{i:03}', 'dir=/\nstart=sleep 1003\n')
        w.dmctl('david', 'rescan')
        for _ in range(3):
            w.dmctl('david', 'start', 'all')
        for answer in w.dmctl('david', 'start', 'd399').exits(1), w.dmctl('david', 'status', 'd399'):
            answer.says('/run/daemon-manager/state cannot grow: No space left on device. Ask root to make room there')
            assert 'at most' not in answer.text, repr(answer)
        assert w.manager.poll() is None, f'the monitor ended with {w.manager.returncode}\n{w.log()}'
        assert w.up('amy/bystander') == w.bystander
        os.unlink('/run/filler')
        for i in range(100):
            os.unlink(w.conf_path('david', f'd{i:03}'))
        w.dmctl('david', 'rescan').exits(0)
        world.wait_for(lambda: len(w.find('sleep 1003')) == 300 and w.dmctl('david', 'start', 'all').code == 0,
                       lambda: f'{len(w.find("sleep 1003"))} of 300 run: {w.dmctl("david", "start", "all").err[-500:]}')
        _sound(w, '/run was full')
        assert w.stop() == 0
    finally:
        with contextlib.suppress(Exception):
            w.manager.kill()
        subprocess.run(['umount', '-l', '/run'], check=True)
