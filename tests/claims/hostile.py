"""A worker that was taken over: how the hostile program takes its place, and what must be so after whatever it did."""
import contextlib
import os
import re
import signal
import subprocess

import world

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORKER = world.HELPERS + '/dm-worker'
MARK = b'@@order of the hostile worker@@'.ljust(51, b'\0')


def read(path):
    with open(path, 'rb') as source:
        return source.read()


# Read at once: inside of the world this folder may not be there.
SOURCES = {name: read(f'{TOP}/src/{name}') for name in
           ('lib/message.hh', 'lib/history.hh', 'lib/helper.hh', 'lib/policy.hh', 'lib/policy.cc', 'lib/book.hh', 'lib/names.hh')}
SOURCES.update((name, read(f'{HERE}/{name}')) for name in os.listdir(HERE) if name.startswith('hostile_'))
KEPT = {}  # the honest and the hostile program, as bytes

CONFIG = """\
[runs_as]
root
david: www-data
amy
bob
[manages]
helpdesk: david
[limits]
amy: daemons=3, starts=1
bob: daemons=0
[ports]
david: 80, 871
[settings]
shutdown_timeout=1s
"""
# What owners wrote and root allowed: id, as whom, what. amy may not run as www-data, and david's site is www-data's alone.
WRITTEN = (('david/site', 'www-data', 'sleep 9001'), ('david/web', 'david', 'sleep 9002'), ('amy/radio', 'amy', 'sleep 9003'))


def compile(*names):
    """A static program of those of SOURCES; returns its path."""
    for name, text in SOURCES.items():
        os.makedirs(os.path.dirname('/tmp/src/' + name), exist_ok=True)
        with open('/tmp/src/' + name, 'wb') as out:
            out.write(text)
    made = subprocess.run(['g++', '-std=c++20', '-O1', '-static', '-I/tmp/src', '-o', '/tmp/hostile',
                           *('/tmp/src/' + name for name in names)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return '/tmp/hostile'


def _confs(w):
    w.conf('david', 'site', 'dir=/\nuser=www-data\nstart=sleep 9001\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 9002\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 9003\n')
    w.conf('amy', 'thief', 'dir=/\nuser=www-data\nstart=touch /tmp/thief\n')


def _user(uid):
    return next((name for name, (number, *_) in world.USERS.items() if str(number) == uid), uid)


class Scene:
    """A manager whose daemons run, and in which the hostile worker then follows orders, one after the other."""

    def __init__(self, w):
        self.w = w
        self.daemons = {}  # id: pid
        self.root = os.getpid()
        if 'honest' not in KEPT:
            KEPT['honest'] = read(WORKER)
        _confs(w)

    def fresh(self, config=CONFIG):
        """A fresh manager under an honest worker, until all daemons run."""
        if self.w.manager is not None:
            self.w.manager.kill()
            self.w.manager.wait()
        for user in ('_daemon-manager', 'david', 'amy', 'www-data'):
            for pid in self.w.of_user(user):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                world.wait_for(lambda: not self.w.alive(pid), 'it ends')
        self.w.clear_run(furnish=True)
        if os.path.exists(self.w.log_file):
            os.unlink(self.w.log_file)
        self.put(KEPT['honest'])
        self.w.start(config, ready=False)
        self.daemons = {name: world.wait_for(lambda: self.pid_of(user, command), f'{name} runs') for name, user, command in WRITTEN}

    def pid_of(self, user, command):
        found = [pid for pid in self.w.of_user(user) if ' '.join(self.w.command_of(pid)) == command]
        return found[0] if len(found) == 1 else None

    def put(self, program):
        """Puts a program in the worker's place, root's and 0711 as installed. The same file: the monitor holds it open."""
        running = self.w.manager is not None and self.w.manager.poll() is None
        if running:
            self.w.manager.send_signal(signal.SIGSTOP)  # so that it starts none meanwhile
        for pid in self.w.of_user('_daemon-manager'):
            os.kill(pid, signal.SIGKILL)
            world.wait_for(lambda: not self.w.alive(pid), 'the worker ends')
        with open(WORKER, 'r+b') as out:
            out.write(program)
            out.truncate()
        if running:
            self.w.manager.send_signal(signal.SIGCONT)

    def order(self, order, fresh=True):
        """The hostile worker in the honest one's place, with an order; the daemons run."""
        if 'hostile' not in KEPT:
            KEPT['hostile'] = read(compile('hostile_worker.cc', 'hostile_messages.cc', 'hostile_deeds.cc', 'hostile_sockets.cc', 'hostile_noise.cc',
                                           'lib/policy.cc'))
            assert KEPT['hostile'].count(MARK) == 1
        if fresh:
            self.fresh()
        text = order.encode().ljust(len(MARK), b'\0')
        assert len(text) == len(MARK)
        self.put(KEPT['hostile'].replace(MARK, text))

    def hears(self, *words):
        self.w.wait_log(*('hostile: ' + word for word in words))

    def unharmed(self, *, besides=0, but=None):
        """What must be so after every attack: no process runs that owners did not write and root did not allow, and every daemon
        still runs, as the same process, under the same manager. `besides`: so many more may run of what they wrote. `but`: one
        who himself runs whatever he likes."""
        w = self.w
        assert w.manager.poll() is None, f'the manager has ended:\n{w.log()}'
        assert not os.path.exists('/tmp/thief'), 'the thief has run'
        more = []
        for pid in w.pids():
            user, command = _user(w.status_of(pid).get('Uid', '-').split('\t')[0]), ' '.join(w.command_of(pid))
            if pid in (1, self.root, w.manager.pid, *self.daemons.values()) or not w.alive(pid) or user == '-':
                continue
            # Between fork and exec a child still looks like the manager, or has no command line at all.
            if not command or command.startswith(world.MANAGER) or user == but:
                continue
            user = _user(w.status_of(pid).get('Uid', '-').split('\t')[0])  # it may have become him since
            if user == '-':
                continue
            if (user, command) == ('root', 'dm-listen /root'):
                continue  # for his own command socket
            if (user, command) in [(its, what) for _, its, what in WRITTEN]:
                more.append((pid, user, command))
                continue
            helper = ('dm-worker', 'dm-policy') if user == '_daemon-manager' else ('dm-scan', 'dm-listen', 'dm-run', 'dm-log')
            assert user != 'root' and command.split()[0] in helper, f'process {pid} of {user} runs: {command}'
        assert len(more) <= besides, f'twice: {more}'
        for name, user, command in WRITTEN:
            pid = self.daemons.get(name, 0)
            if pid == 0:
                continue  # its owner has stopped it
            now = _user(w.status_of(pid).get('Uid', '-').split('\t')[0]), ' '.join(w.command_of(pid))
            assert w.alive(pid) and now == (user, command), f'{name} does not run any more: {now}\n{w.log()}'

    def honest_again(self):
        """The real worker back in its place, under the same monitor: everything is served."""
        w = self.w
        self.put(KEPT['honest'])
        world.wait_for(lambda: w.dmctl('root', 'version').code == 0, lambda: f'the manager serves:\n{w.log()}')
        for name, _, _ in WRITTEN:
            w.up(name)
        w.dmctl('amy', 'status', 'thief').exits(3).says('amy may not run daemons as www-data')

    def serves(self):
        """The honest worker not only tells but also does."""
        w = self.w
        w.dmctl('david', 'restart', 'web').exits(0)
        self.daemons['david/web'] = w.up('david/web')
        self.unharmed()
        w.dmctl('david', 'stop', 'all').exits(0)
        world.wait_for(lambda: not w.find('sleep 9001') and not w.find('sleep 9002'), 'david has stopped his')
        assert w.find('sleep 9003') == [self.daemons['amy/radio']]


@contextlib.contextmanager
def scene(w):
    """One scene; afterwards the honest worker is installed again."""
    it = Scene(w)
    try:
        yield it
    finally:
        os.unlink(WORKER)
        with open(WORKER, 'wb') as out:
            out.write(KEPT['honest'])
        os.chmod(WORKER, 0o711)


def each(w, attacks):
    """Each attack, an order and a reason, ends its worker for that reason and harms nobody; afterwards the honest one serves."""
    with scene(w) as it:
        for order, reason in attacks:
            it.order(order)
            world.wait_for(lambda: re.search(f'(?m)(the worker is replaced: .*|the worker ){reason}', w.log()),
                           lambda: f'{order}: {reason} in the log:\n{w.log()}')
            assert 'hostile: no such' not in w.log(), w.log()
            it.unharmed()
        it.honest_again()
        it.unharmed()
        it.serves()
