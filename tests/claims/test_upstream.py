"""Defects of an older daemon manager that shall not come again."""
import os
import signal
import stat

import client
import world

PIDFILE = '/run/manager.pid'


def _log_path(user, name='web'):
    return f'/home/{user}/.daemon-manager/logs/{name}.log'


def _bystander(w):
    """amy's daemon runs, and she is served."""
    pid = w.up('amy/radio')
    w.dmctl('amy', 'restart', 'radio').exits(0)
    assert w.up('amy/radio') != pid


def a_log_path_followed_by_root(w):
    """No path that an owner gives leads the manager, or root who reads his logs, to a file that is not his: not in output=, not as a
    link in the place of the log or of its folder. Claim: log-links."""
    w.script('/etc/precious', 'precious\n', mode=0o600)
    before = os.stat('/etc/precious')
    w.folder('/home/david/.daemon-manager/logs', 'david', 0o700)
    os.symlink('/etc/precious', _log_path('david'))
    w.conf('amy', 'precious', 'dir=/\noutput=log\nstart=echo overwritten; exec sleep 1002\n')
    os.symlink('/etc', '/home/amy/.daemon-manager/logs')
    os.symlink('precious', '/etc/precious.log')
    try:
        w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo overwritten; exec sleep 1001\n')
        w.conf('david', 'path', 'dir=/\noutput=/etc/precious\nstart=echo overwritten; exec sleep 1003\n')
        w.start()
        w.up('david/web')
        w.up('amy/precious')
        w.wait_note('david/path', 'output')
        for name in ('david/web', 'amy/precious'):
            w.dmctl('root', 'restart', name).exits(0)
            answer = w.dmctl('root', 'log', name)
            assert answer.code != 0 and 'precious\n' not in answer.out, repr(answer)
        w.stop()
        with open('/etc/precious') as file:
            assert file.read() == 'precious\n'
        after = os.stat('/etc/precious')
        assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)
        assert not w.find('sleep 1003')
    finally:
        os.unlink('/etc/precious.log')
        os.unlink('/etc/precious')


def a_fifo_that_hangs_everyone(w):
    """A FIFO in the place of any file that an owner has hangs nobody: not as conf, log, socket, or folder. Claims: nobody-waits,
    conf-costs-its-owner."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo hello; exec sleep 1001\n')
    w.folder('/home/david/.daemon-manager/logs', 'david', 0o700)
    w.folder('/home/bob/.daemon-manager', 'bob', 0o700)
    fifos = [w.conf_path('david', 'fifo'), _log_path('david'), '/home/david/.daemon-manager/command.sock',
             '/home/bob/.daemon-manager/daemons', '/home/carol/.daemon-manager']
    for path in fifos:
        os.mkfifo(path)
        owner = os.stat(os.path.dirname(path))
        os.chown(path, owner.st_uid, owner.st_gid)
    w.start('[runs_as]\ndavid\namy\nbob\ncarol\n')
    w.up('david/web')
    _bystander(w)
    w.wait_note('david/fifo', 'is no regular file')
    for user in ('david', 'bob', 'carol', 'root'):
        w.dmctl(user, 'rescan')
    for user in ('david', 'root'):
        assert w.dmctl(user, 'log', 'david/web').code != 0
    w.dmctl('david', 'restart', 'web').exits(0)
    _bystander(w)
    assert all(stat.S_ISFIFO(os.lstat(path).st_mode) for path in fifos if not path.endswith('.sock'))
    assert w.stop() == 0


def a_client_that_closes_early(w):
    """A client that is gone before its answer ends neither manager nor worker, and what it asked for is done. Claim: clients-gone."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    manager, worker, radio = w.manager.pid, w.worker(), w.up('amy/radio')
    w.up('david/web')
    for verb, state in (('stop', 'stopped'), ('start', 'running'), ('restart', 'running'), ('stop', 'stopped')):
        for path in (client.home_socket(w, 'david'), client.SHARED):
            for _ in range(20):
                with client.connect('david', path) as one:
                    client.send(one, client.request(verb, 'web'))
        w.wait_state('david/web', state)
    with client.connect('root', world.RUN_DIR + '/root.sock') as one:
        client.send(one, client.request('status'))
    assert (w.manager.pid, w.worker(), w.up('amy/radio')) == (manager, worker, radio) and w.manager.poll() is None
    w.dmctl('david', 'start', 'web').exits(0)


def a_pid_file_removed_by_a_failed_child(w):
    """The pid file is the manager's as long as it lives, whatever child of it fails: a daemon at any step of its start, a helper that
    is killed, a worker, a second manager. Claim: pid-file-kept."""
    failing = {'dir': 'dir=/nosuch\nstart=sleep 1001', 'program': 'dir=/\nstart=/nosuch',
               'interpreter': 'dir=/\nstart=/srv/bad', 'exits': 'dir=/\nstart=exit 3'}
    for name, text in failing.items():
        w.conf('david', name, f'autostart=no\n{text}\n')
    w.script('/srv/bad', '#!/nosuch\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=sleep 1001\n')
    w.start(arguments=['--pidfile', PIDFILE])
    first = w.manager
    before = os.stat(PIDFILE)
    web = w.up('david/web')
    for name in failing:
        w.dmctl('david', 'start', name)
        w.wait_note(f'david/{name}')
        w.dmctl('david', 'stop', name).exits(0)
    for pid in [w.worker()] + [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]:
        os.kill(pid, signal.SIGKILL)
    w.rescan('david')
    assert w.start(arguments=['--pidfile', PIDFILE], ready=False).wait(20) == 1
    w.manager = first
    with open(PIDFILE) as file:
        assert file.read().strip() == str(first.pid)
    assert os.stat(PIDFILE).st_ino == before.st_ino and w.up('david/web') == web
    assert w.stop() == 0 and not os.path.exists(PIDFILE)


def _only_the_shell(w, config):
    """Commands that a shell runs without exec, in pipes, in the background, and one that ignores the shell's end."""
    commands = {'list': 'true; sleep 1001; true', 'pipe': 'sleep 1002 | cat | cat', 'background': 'sleep 1003 & sleep 1004; wait',
                'nested': "sh -c 'sh -c \"sleep 1005; true\"; true'; true", 'deaf': "sh -c 'trap \"\" TERM; sleep 1006; sleep 1007'; true"}
    for name, command in commands.items():
        w.conf('david', name, f'dir=/\nstop_timeout=1s\nstart={command}\n')
    w.start(config)
    for number in range(1001, 1007):
        world.wait_for(lambda: w.find(f'sleep {number}'), f'sleep {number} runs')
    def daemons():
        return [w.command_of(pid) for pid in w.of_user('david') if w.command_of(pid)[:1] != ['dm-log']]
    world.wait_for(lambda: len(daemons()) >= 14, daemons)
    w.dmctl('david', 'stop', 'all').exits(0)
    assert not [w.command_of(pid) for pid in w.of_user('david')]


def stop_reaches_more_than_the_shell(w):
    """stop ends what the shell of start= has started, not the shell alone: in lists, pipes, in the background, in shells in shells.
    Claim: daemon-tree."""
    _only_the_shell(w, '[runs_as]\ndavid\n')


def stop_reaches_more_than_the_shell_without_cgroup(w):
    """The same with cgroup=no. Claim: daemon-tree."""
    _only_the_shell(w, '[runs_as]\ndavid\n[settings]\ncgroup=no\n')
