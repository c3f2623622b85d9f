"""A private world for one manager: own mounts, processes, network, users, homes and /run. Runs as root.

`outside()` starts a program in fresh namespaces; that program calls `enter()`, which lays an overlay over the machine's
root file system, puts the staged build and its own /etc/passwd into it and changes root. All that was written is gone with
the last process, and all processes are gone with the first.
"""
import contextlib
import ctypes
import fcntl
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sanitized  # noqa: E402

RUN_DIR = '/run/daemon-manager'
CONFIG = '/etc/daemon-manager.conf'
MANAGER = '/usr/sbin/daemon-manager'
DMCTL = '/usr/bin/dmctl'
HELPERS = '/usr/libexec/daemon-manager'

PATIENCE = 150.0  # seconds: far more than anything takes, on a busy machine too; what takes so long hangs

# name: (uid, groups beside his own, home, shell). Everyone has a group of his own name and number.
USERS = {
    'root': (0, [], '/root', '/bin/bash'),
    '_daemon-manager': (990, [], '/nonexistent', '/usr/sbin/nologin'),
    'www-data': (33, ['web'], '/var/www', '/usr/sbin/nologin'),
    'nobody': (65534, [], '/nonexistent', '/usr/sbin/nologin'),
    'david': (1000, ['web', 'staff'], '/home/david', '/bin/bash'),
    'amy': (1001, ['staff'], '/home/amy', '/bin/bash'),
    'bob': (1002, [], '/home/bob', '/bin/bash'),
    'helpdesk': (1003, [], '/home/helpdesk', '/bin/bash'),
    'carol': (1004, [], '/home/carol', '/bin/bash'),
    'eve': (1005, [], '/home/eve', '/bin/bash'),
    # The kernel counts a uid's processes over all worlds: whom a limit of processes hits must be in no other.
    'limited': (1010, [], '/home/limited', '/bin/bash'),
    'limited-site': (1011, [], '/home/limited-site', '/bin/bash'),
    'limited-friend': (1012, [], '/home/limited-friend', '/bin/bash'),
}
EXTRA_GROUPS = {'web': 2000, 'staff': 2001}
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

NO_WORLD = """cannot make a private world on this machine: {why}
  It needs root, namespaces and overlayfs. What to do:
  - in a container: start it with --privileged (or CAP_SYS_ADMIN and no seccomp profile),
  - where the machine forbids it (sysctl user.max_mnt_namespaces, a kernel without overlay): use a virtual machine."""


class CannotMakeWorld(Exception):
    pass


# ---- outside: on the machine itself ----

def cgroup_mount():
    """Where cgroup v2 is mounted, or None."""
    with open('/proc/self/mountinfo') as mounts:
        for line in mounts:
            fields = line.split()
            if fields[fields.index('-') + 1] == 'cgroup2':
                return fields[4]
    return None


def make_cgroup():
    """A cgroup of this world's own, so that nothing of it is left anywhere else; None where there is no cgroup v2."""
    mount = cgroup_mount()
    if mount is None:
        return None
    with open('/proc/self/cgroup') as own:
        path = next((line.strip()[3:] for line in own if line.startswith('0::')), '/')
    try:
        made = tempfile.mkdtemp(prefix='dm-world.', dir=mount + path)
        os.chmod(made, 0o755)
        return made
    except OSError:
        return None


def remove_cgroup(path):
    """Removes a cgroup and all below it. The namespace is dead, so it is empty as soon as the kernel has reaped."""
    if path is None:
        return
    deadline = time.monotonic() + 10
    while os.path.isdir(path) and time.monotonic() < deadline:
        for folder, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass
        if os.path.isdir(path):
            time.sleep(0.02)


RUNNING = set()  # the worlds of this process: killing one ends all that is in it


def end_worlds(*_):
    """Ends all worlds; a signal handler for those who would otherwise leave folders and cgroups behind."""
    for running in list(RUNNING):
        running.kill()


def outside(argv, stage, **popen):
    """Runs argv, which must call enter(), in fresh namespaces, and waits for it. Returns its exit code."""
    work = tempfile.mkdtemp(prefix='dm-world.')
    cgroup = make_cgroup()

    def join():
        if cgroup is not None:
            with open(cgroup + '/cgroup.procs', 'w') as procs:
                procs.write('0')

    spaces = ['--mount', '--propagation', 'private', '--pid', '--ipc', '--net'] + (['--cgroup'] if cgroup else [])
    trial = subprocess.run(['unshare', *spaces, '--fork', 'true'], capture_output=True, text=True)
    if trial.returncode != 0:
        print(NO_WORLD.format(why=trial.stderr.strip() or 'unshare failed'), file=sys.stderr)
        remove_cgroup(cgroup)
        os.rmdir(work)
        return 1
    environment = dict(os.environ, DM_WORLD=json.dumps({'work': work, 'stage': stage, 'cgroup': cgroup}),
                       PYTHONDONTWRITEBYTECODE='1')
    try:
        running = subprocess.Popen(['unshare', *spaces, '--fork', '--kill-child', '--'] + argv, env=environment,
                                   preexec_fn=join, **popen)
        RUNNING.add(running)
        try:
            return running.wait()
        finally:
            RUNNING.discard(running)
            running.kill()
            running.wait()
    finally:
        remove_cgroup(cgroup)
        os.rmdir(work)


# ---- inside: in the namespaces ----

def mount(*arguments):
    made = subprocess.run(['mount', *arguments], capture_output=True, text=True)
    if made.returncode != 0:
        raise CannotMakeWorld(made.stderr.strip())


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack('16sh14x', b'lo', 0x41)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(control, 0x8914, request)          # SIOCSIFFLAGS


def become_init():
    """Splits off the first process of the namespace, which reaps orphans; the caller goes on as its child."""
    child = os.fork()
    if child == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


def write(path, text, mode=0o644, uid=0, gid=0):
    if os.path.islink(path) or os.path.exists(path):
        os.unlink(path)
    with open(path, 'w') as out:
        out.write(text)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def write_accounts():
    groups = {name: (uid, []) for name, (uid, _, _, _) in USERS.items()}
    groups['nogroup'] = groups.pop('nobody')
    for name, gid in EXTRA_GROUPS.items():
        groups[name] = (gid, [user for user, (_, extra, _, _) in USERS.items() if name in extra])
    write('/etc/passwd', ''.join(f'{name}:x:{uid}:{uid}::{home}:{shell}\n' for name, (uid, _, home, shell) in USERS.items()))
    write('/etc/group', ''.join(f'{name}:x:{gid}:{",".join(members)}\n' for name, (gid, members) in groups.items()))
    write('/etc/shadow', ''.join(f'{name}:*:19000:0:99999:7:::\n' for name in USERS), 0o640)
    write('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n')


def stage():
    """Where the build is that this world will be of; before enter()."""
    return json.loads(os.environ['DM_WORLD'])['stage']


def enter():
    """Makes the world around this process; returns it. Raises CannotMakeWorld where the machine does not let it."""
    order = json.loads(os.environ.pop('DM_WORLD'))
    work = order['work']
    become_init()
    root = work + '/root'
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'world', work)
    for folder in ('up', 'wk', 'root'):
        os.mkdir(f'{work}/{folder}')
    mount('-t', 'overlay', '-o', f'lowerdir=/,upperdir={work}/up,workdir={work}/wk', 'world', root)
    subprocess.run(['cp', '-a', order['stage'] + '/.', root], check=True)
    mount('-t', 'proc', 'proc', root + '/proc')
    mount('--rbind', '/sys', root + '/sys')
    mount('--rbind', '/dev', root + '/dev')
    for folder, mode in (('run', '0755'), ('tmp', '1777'), ('home', '0755')):
        mount('-t', 'tmpfs', '-o', f'mode={mode}', 'world', f'{root}/{folder}')
    if order['cgroup']:
        mount('--bind', order['cgroup'], root + cgroup_mount())
    os.chroot(root)
    os.chdir('/')
    os.umask(0o022)
    os.environ.update(PATH=PATH, HOME='/root', USER='root', LOGNAME='root', LANG='C.UTF-8')
    raise_loopback()
    write_accounts()
    return World()


def wait_for(condition, what, deadline=PATIENCE):
    """Calls condition until it is true and returns what it said; fails after `deadline` seconds."""
    begin = time.monotonic()
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now - begin > deadline:
            raise AssertionError(f'not within {deadline:g} s: {what() if callable(what) else what}')
        # Often at first, then less so, and seldom where it costs much: what is waited for needs the processors itself.
        time.sleep(min(0.1, max(0.01, (now - begin) / 20, now - asked)))


class Result:
    """How a command ended and what it said."""

    def __init__(self, argv, done):
        self.argv, self.code, self.out, self.err = argv, done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f'{" ".join(self.argv)}: exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}---'

    @property
    def text(self):
        return self.out + self.err

    def exits(self, code):
        assert self.code == code, f'expected exit {code}: {self!r}'
        return self

    def says(self, *words):
        for word in words:
            assert word in self.text, f'expected {word!r} in {self!r}'
        return self


class Row:
    """One line of `dmctl status`."""

    def __init__(self, fields):
        self.id, self.state, self.pid, self.respawns, self.cooldown, self.uptime, self.total = fields
        self.pid = int(self.pid) if self.pid.isdigit() else 0
        self.respawns = int(self.respawns) if self.respawns.isdigit() else 0

    def __repr__(self):
        return ' '.join(str(value) for value in vars(self).values())


STATES = ('stopped', 'waiting', 'listening', 'starting', 'running', 'stopping', 'cooldown', 'done', 'failed')


class World:
    DEFAULT_CONFIG = """\
[runs_as]
david: www-data     # for his web sites
amy
bob
carol
[manages]
helpdesk: david
"""

    def __init__(self):
        self.manager = None
        self.log_number = 0
        self.log_file = '/tmp/manager.log'
        built = sanitized.is_sanitized(MANAGER)
        self.cage = sanitized.Cage(RUN_DIR + '/empty', HELPERS) if built else None  # only where the build is one with sanitizers

    # -- users and files

    def ids(self, user):
        entry = pwd.getpwnam(user)
        extra = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
        return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': [entry.pw_gid] + extra}

    def make_homes(self):
        for name, (uid, _, home, _) in USERS.items():
            if home.startswith('/home/'):
                os.makedirs(home)
                os.chown(home, uid, uid)
                os.chmod(home, 0o700)

    def folder(self, path, user, mode=0o755):
        """A folder of `user`, with those above it, that are his too where they are new."""
        made, here = [], path
        while not os.path.isdir(here):
            made.append(here)
            here = os.path.dirname(here)
        for here in reversed(made):
            os.mkdir(here)
            os.chown(here, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
            os.chmod(here, mode)
        return path

    def home(self, user):
        return pwd.getpwnam(user).pw_dir

    def conf_path(self, owner, name):
        return f'{self.home(owner)}/.daemon-manager/daemons/{name}.conf'

    def conf(self, owner, name, text, mode=0o644):
        """Writes a daemon's conf as its owner would, without telling the manager."""
        path = self.conf_path(owner, name)
        self.folder(os.path.dirname(path), owner, 0o700)
        ids = self.ids(owner)
        write(path, text, mode, ids['user'], ids['group'])
        return path

    def script(self, path, text, user='root', mode=0o755):
        self.folder(os.path.dirname(path), user)
        ids = self.ids(user)
        write(path, text, mode, ids['user'], ids['group'])
        return path

    # -- the manager

    def start(self, config=None, arguments=(), ready=True, environment=None):
        if config is not None:
            write(CONFIG, config)
        elif not os.path.exists(CONFIG):
            write(CONFIG, self.DEFAULT_CONFIG)
        with open(self.log_file, 'a') as log:
            self.manager = subprocess.Popen([MANAGER, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, cwd='/',
                                            env={'PATH': PATH, 'SECRET_OF_ROOT': 'not-for-daemons', **(environment or {})})
        if ready:
            def serves():
                if self.manager.poll() is not None:
                    raise AssertionError(f'the manager ended with {self.manager.returncode}:\n{self.log()}')
                return self.dmctl('root', 'version').code == 0
            wait_for(serves, 'the manager serves root')
        return self.manager

    def stop(self, number=signal.SIGTERM, deadline=PATIENCE):
        """Ends the manager and returns its exit code."""
        self.manager.send_signal(number)
        code = self.manager.wait(deadline)
        self.manager = None
        return code

    def log(self):
        with open(self.log_file, errors='replace') as log:
            return log.read()

    def wait_log(self, *words, deadline=PATIENCE):
        wait_for(lambda: all(word in self.log() for word in words), lambda: f'{words} in the log:\n{self.log()}', deadline)

    def reload(self, config):
        before = self.log().count('read again') + self.log().count('not accepted')
        write(CONFIG, config)
        self.manager.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count('read again') + self.log().count('not accepted') > before, 'the reload is logged')

    def reset(self):
        """Kills all but this process, and makes all files as they were at the beginning."""
        self.manager = None
        def left():
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass
            return [pid for pid in self.pids() if pid not in (1, os.getpid())]
        wait_for(lambda: not left(), 'all processes of the last test are gone')
        self.clear_run()
        shutil.rmtree('/root/.daemon-manager', ignore_errors=True)
        for folder in ('/home', '/run', '/tmp'):
            for name in os.listdir(folder):
                path = f'{folder}/{name}'
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        if os.path.exists(CONFIG):
            os.unlink(CONFIG)
        shutil.rmtree('/var/www', ignore_errors=True)
        os.mkdir('/var/www')
        mount_point = cgroup_mount()
        if mount_point is not None:
            for folder, _, _ in os.walk(mount_point, topdown=False):
                if '/daemon-manager.' in folder:
                    os.rmdir(folder)
        write_accounts()
        self.make_homes()
        if self.cage:
            self.cage.furnish(forget=True)

    def clear_run(self, furnish=False):
        """Removes what managers have left in their folder under /run."""
        if self.cage:
            self.cage.clear()
        shutil.rmtree(RUN_DIR, ignore_errors=True)
        if self.cage and furnish:
            self.cage.furnish()

    # -- commands

    def run(self, user, *argv, timeout=PATIENCE, cwd='/', **options):
        home = self.home(user)
        environment = {'PATH': PATH, 'HOME': home, 'USER': user, 'LOGNAME': user, 'LANG': 'C.UTF-8'}
        done = subprocess.run(argv, capture_output=True, text=True, errors='replace', timeout=timeout, cwd=cwd,
                              env=environment, stdin=subprocess.DEVNULL, **self.ids(user), **options)
        return Result([f'{user}$', *argv], done)

    def dmctl(self, user, *arguments, timeout=PATIENCE):
        return self.run(user, DMCTL, *arguments, timeout=timeout)

    def background(self, user, *argv):
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                cwd='/', env={'PATH': PATH, 'HOME': self.home(user), 'USER': user}, **self.ids(user))

    def rescan(self, user):
        return self.dmctl(user, 'rescan').exits(0)

    # -- what dmctl status says

    def rows(self, user='root', *ids):
        answer = self.dmctl(user, 'status', *ids)
        assert answer.code in (0, 1, 3), repr(answer)  # 1: somebody's confs cannot be read, the others are listed
        rows = {}
        for line in answer.out.splitlines():
            fields = line.split()
            if len(fields) == 7 and '/' in fields[0] and fields[1] in STATES:
                rows[fields[0]] = Row(fields)
        return rows

    def row(self, name, user='root'):
        rows = self.rows(user)
        assert name in rows, f'{name} is not among {rows}'
        return rows[name]

    def wait_state(self, name, state, deadline=PATIENCE):
        def there():
            found = self.rows().get(name)
            return found if found is not None and found.state == state else None
        return wait_for(there, lambda: f'{name} is {state}\n{self.dmctl("root", "status")!r}', deadline)

    def up(self, name, deadline=PATIENCE):
        """Waits until a daemon runs; returns the pid of its main process."""
        return self.wait_state(name, 'running', deadline).pid

    def up_sleepers(self, sleepers):
        """david's daemons of these names run, each a sleep of so many seconds."""
        for name, seconds in sleepers:
            self.conf('david', name, f'dir=/\nstart=sleep {seconds}\n')
        self.start()
        for name, _ in sleepers:
            self.up('david/' + name)

    def wait_note(self, *words, user='root', deadline=PATIENCE):
        """Waits until `dmctl status` says all these words; returns all that it says."""
        answer = [None]
        def there():
            answer[0] = self.dmctl(user, 'status')
            return all(word in answer[0].text for word in words)
        wait_for(there, lambda: f'{words} in {answer[0]!r}', deadline)
        return answer[0].text

    def refuses(self, *words, config=None):
        """Starts the manager and waits until it says these words of the conf david/bad; david/good runs beside it. Returns all said."""
        self.conf('david', 'good', 'dir=/\nstart=sleep 1999\n')
        self.start(config)
        self.up('david/good')
        said = self.wait_note('david/bad', *words)
        rows = self.rows()
        assert 'david/bad' not in rows or rows['david/bad'].state == 'stopped', rows
        self.dmctl('david', 'start', 'bad').exits(1)
        return said

    # -- processes

    def pids(self):
        return [int(name) for name in os.listdir('/proc') if name.isdigit()]

    def alive(self, pid):
        """True while there is such a process, and it is no zombie."""
        state = self.status_of(pid).get('State', 'X')
        return state[0] not in 'XZ'

    def status_of(self, pid):
        try:
            with open(f'/proc/{pid}/status') as status:
                return dict((line.rstrip('\n').split(':\t', 1) + [''])[:2] for line in status)
        except (FileNotFoundError, ProcessLookupError):
            return {}

    def command_of(self, pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as command:
                return command.read().decode(errors='replace').rstrip('\0').split('\0')
        except (FileNotFoundError, ProcessLookupError):
            return []

    def find(self, needle):
        """Pids of live processes with `needle` in their command line, but for this one's."""
        return sorted(pid for pid in self.pids() if pid not in (1, os.getpid()) and
                      needle in ' '.join(self.command_of(pid)) and self.alive(pid))

    def of_user(self, user):
        uid = str(pwd.getpwnam(user).pw_uid)
        return sorted(pid for pid in self.pids() if self.status_of(pid).get('Uid', '').split('\t')[0] == uid and self.alive(pid))

    def kill_loggers(self):
        """Kills every dm-log, and what compresses for it; one that has just ended by itself is none any more."""
        for pid in [pid for pid in self.pids() if self.command_of(pid)[:1] == ['dm-log']]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def worker(self):
        """The worker's pid: the manager's one long-lived child with the worker's uid."""
        def one():
            found = [pid for pid in self.of_user('_daemon-manager')
                     if self.status_of(pid).get('PPid') == str(self.manager.pid) and self.status_of(pid).get('Seccomp') == '2']
            return found[0] if len(found) == 1 else None
        return wait_for(one, 'there is one worker')

    def gone(self, needle, deadline=PATIENCE):
        wait_for(lambda: not self.find(needle), lambda: f'no process with {needle}: {self.find(needle)}', deadline)
