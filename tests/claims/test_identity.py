"""Who a daemon is, and who the manager's own processes are."""
import os
import stat
import subprocess

import world
from sanitized import not_sanitized


def _caps(status):
    return {key: int(status[key], 16) for key in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')}


def _daemon(w, text, name='web', config=None):
    w.conf('david', name, text)
    w.start(config)
    return w.up(f'david/{name}')


def uids_and_groups(w):
    """A daemon has its target's uid, gid and groups in all places, and no capability. Claim: daemon-identity."""
    pid = _daemon(w, 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    status = w.status_of(pid)
    assert status['Uid'].split() == ['33'] * 4
    assert status['Gid'].split() == ['33'] * 4
    assert sorted(status['Groups'].split()) == ['2000', '33'], status['Groups']
    assert not any(_caps(status).values()), _caps(status)


def own_identity(w):
    """Without user= a daemon is its owner, with all of his groups. Claim: daemon-identity."""
    status = w.status_of(_daemon(w, 'dir=/\nstart=sleep 1001\n'))
    assert status['Uid'].split() == ['1000'] * 4
    assert sorted(status['Groups'].split()) == ['1000', '2000', '2001'], status['Groups']


def environment(w):
    """A daemon's environment is HOME, USER, LOGNAME, SHELL and PATH of the target and the exports; nothing is inherited.
    Claim: daemon-environment."""
    pid = _daemon(w, 'dir=/\nuser=www-data\nexport COLOUR=dark green\nexport EMPTY=\nstart=sleep 1001\n')
    with open(f'/proc/{pid}/environ') as environ:
        found = dict(entry.split('=', 1) for entry in environ.read().rstrip('\0').split('\0'))
    path = found.pop('PATH')
    assert '/usr/bin' in path.split(':') and '.' not in path.split(':')
    assert found == {'HOME': '/var/www', 'USER': 'www-data', 'LOGNAME': 'www-data', 'SHELL': '/usr/sbin/nologin',
                     'COLOUR': 'dark green', 'EMPTY': ''}, found


def descriptors(w):
    """A daemon has the descriptors 0, 1 and 2, and no other of the manager's. Claim: daemon-descriptors."""
    pid = _daemon(w, 'dir=/\nstart=sleep 1001\n')
    assert sorted(os.listdir(f'/proc/{pid}/fd')) == ['0', '1', '2']
    assert [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in (0, 1, 2)] == ['/dev/null'] * 3


def descriptors_of_a_logged_one(w):
    """A daemon with output=log has /dev/null as its stdin and one FIFO as stdout and stderr. Claim: daemon-descriptors."""
    pid = _daemon(w, 'dir=/\noutput=log\nstart=sleep 1001\n')
    assert sorted(os.listdir(f'/proc/{pid}/fd')) == ['0', '1', '2']
    assert os.readlink(f'/proc/{pid}/fd/0') == '/dev/null'
    one, two = os.stat(f'/proc/{pid}/fd/1'), os.stat(f'/proc/{pid}/fd/2')
    assert stat.S_ISFIFO(one.st_mode) and one.st_ino == two.st_ino


def directory_and_umask(w):
    """A daemon starts in dir, with the umask of its conf or else 022. Claim: daemon-environment."""
    os.mkdir('/srv/place') if not os.path.isdir('/srv/place') else None
    w.conf('david', 'plain', 'dir=/srv/place\nstart=sleep 1002\n')
    pid = _daemon(w, 'dir=/srv/place\numask=027\nstart=sleep 1001\n')
    assert os.readlink(f'/proc/{pid}/cwd') == '/srv/place'
    assert w.status_of(pid)['Umask'] == '0027'
    assert w.status_of(w.up('david/plain'))['Umask'] == '0022'


def session_and_signals(w):
    """A daemon leads a session of its own without a terminal, with every signal at its default and none blocked.
    Claim: daemon-environment."""
    pid = _daemon(w, 'dir=/\nstart=sleep 1001\n')
    with open(f'/proc/{pid}/stat') as line:
        fields = line.read().rpartition(')')[2].split()
    pgrp, session, tty = (int(value) for value in fields[2:5])
    assert (session, tty) == (pid, 0), fields
    assert pgrp == pid
    status = w.status_of(pid)
    assert int(status['SigBlk'], 16) == 0 and int(status['SigIgn'], 16) == 0, status


def cgroup(w):
    """A daemon is in a cgroup of its own, below the manager's, where there is cgroup v2. Claim: daemon-tree."""
    mount = world.cgroup_mount()
    w.conf('david', 'other', 'dir=/\nstart=sleep 1002\n')
    pid = _daemon(w, 'dir=/\nstart=sleep 1001\n')
    def of(pid):
        with open(f'/proc/{pid}/cgroup') as lines:
            return next((line.strip()[3:] for line in lines if line.startswith('0::')), None)
    if mount is None:
        return
    assert '/daemon-manager.' in of(pid), of(pid)
    assert of(pid) != of(w.up('david/other'))
    assert of(pid) != of(w.manager.pid)


def no_cgroup(w):
    """With cgroup=no daemons start and stop all the same, followed by their process group. Claim: daemon-tree."""
    pid = _daemon(w, 'dir=/\nstart=sleep 1001 & sleep 1002 & wait\n', config='[runs_as]\ndavid\n[settings]\ncgroup=no\n')
    with open(f'/proc/{pid}/cgroup') as lines:
        assert 'daemon-manager.' not in lines.read()
    w.dmctl('david', 'stop', 'web').exits(0)
    assert not w.find('sleep 100')


@not_sanitized('its root has the libraries of its runtime')
def worker_is_sandboxed(w):
    """The worker has its own uid, an empty root, no capability, no new privileges and a seccomp filter. Claim: worker-caged."""
    w.start()
    pid = w.worker()
    status = w.status_of(pid)
    assert status['Uid'].split() == ['990'] * 4 and status['Gid'].split() == ['990'] * 4
    assert status['Groups'].split() in ([], ['990']), status['Groups']
    assert not any(_caps(status).values()), _caps(status)
    assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2'
    assert os.listdir(f'/proc/{pid}/root') == []
    assert os.readlink(f'/proc/{pid}/root') == '/run/daemon-manager/empty'


def worker_has_no_files(w):
    """The worker holds sockets, epoll, timers, books, its log and the history, and no other file of the machine. Claim: worker-caged."""
    w.conf('david', 'web', 'dir=/\nexport KEY=value\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    for fd in os.listdir(f'/proc/{w.worker()}/fd'):
        target = os.readlink(f'/proc/{w.worker()}/fd/{fd}')
        good = target.startswith(('socket:', 'anon_inode:', '/memfd:', 'pipe:', '/dev/null')) or target in (w.log_file, world.RUN_DIR + '/history')
        assert good, f'descriptor {fd} of the worker is {target}'


def monitor_capabilities(w):
    """The monitor holds SETUID, SETGID, KILL and SYS_CHROOT, and nothing else. Claim: monitor-capabilities."""
    w.start()
    wanted = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 18
    caps = _caps(w.status_of(w.manager.pid))
    assert caps['CapEff'] == wanted and caps['CapPrm'] == wanted and caps['CapAmb'] == 0 and caps['CapInh'] == 0, caps


@not_sanitized('its helpers may be read')
def helpers_are_not_readable(w):
    """The helpers are installed executable and unreadable, so that nobody can trace them even after exec. Claim: helpers-untraceable."""
    for name in ('dm-policy', 'dm-worker', 'dm-scan', 'dm-listen', 'dm-run', 'dm-log'):
        info = os.stat(f'{world.HELPERS}/{name}')
        assert (stat.S_IMODE(info.st_mode), info.st_uid) == (0o711, 0), f'{name} {oct(info.st_mode)}'


def dm_log_is_the_owner(w):
    """dm-log runs as the owner of the daemons, not as their target, and not as root, without any privilege to gain. Claim: one-identity."""
    _daemon(w, 'dir=/\nuser=www-data\noutput=log\nstart=sleep 1001\n')
    def loggers():
        return [pid for pid in w.pids() if w.command_of(pid)[:1] == ['dm-log']]
    pid = world.wait_for(loggers, 'there is a dm-log')[0]
    status = w.status_of(pid)
    assert status['Uid'].split() == status['Gid'].split() == ['1000'] * 4
    assert sorted(status['Groups'].split()) == ['1000', '2000', '2001'], status['Groups']
    assert status['NoNewPrivs'] == '1' and not any(_caps(status).values()), status


def suid_dumpable(w):
    """Where fs.suid_dumpable is 1 the manager refuses to start, and says how to change it. Claim: helpers-untraceable."""
    path = '/proc/sys/fs/suid_dumpable'
    world.mount('-t', 'tmpfs', 'fake', '/mnt')
    with open('/mnt/one', 'w') as fake:
        fake.write('1\n')
    world.mount('--bind', '/mnt/one', path)
    try:
        w.start(ready=False)
        assert w.manager.wait(20) == 1
        assert 'suid_dumpable' in w.log()
    finally:
        subprocess.run(['umount', path], check=True)
        subprocess.run(['umount', '/mnt'], check=True)


def second_manager(w):
    """A second manager does not start, and says which one is running. Claim: one-manager."""
    w.start()
    first = w.manager
    second = w.start(ready=False)
    assert second.wait(20) == 1
    assert str(first.pid) in w.log().splitlines()[-1], w.log()
    w.manager = first
    w.dmctl('root', 'status').exits(0)


def not_root(w):
    """Started by a user the manager says that only root can run it. Claim: one-manager."""
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    w.run('david', world.MANAGER).exits(1).says('root')
