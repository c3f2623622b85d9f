"""The manager as a program: one at a time, upgraded in place, restarted, ended; whatever machine it runs on."""
import contextlib
import os
import re
import signal
import subprocess
import time

import hung_fs
import world
import wreck

OLD, NEW = '0.1.0', '0.1.9'
QUIET = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
LINES = '#!/bin/sh\ni=0\nwhile :; do i=$((i+1)); echo "line $i"; sleep 0.01; done\n'


def _read(path):
    with open(path, 'rb') as file:
        return file.read()


def _install(path, data):
    """As a package does it: a new file in the place of the old one; who has the old one open keeps it."""
    mode = os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o711
    with open(path + '.new', 'wb') as file:
        file.write(data)
    os.chmod(path + '.new', mode)
    os.rename(path + '.new', path)


@contextlib.contextmanager
def _installed(files):
    """While it lasts these files ({path: content, or None for not there}) are installed; then the real ones are again."""
    real = {path: _read(path) for path in files}
    try:
        for path, data in files.items():
            _install(path, data) if data is not None else os.unlink(path)
        yield
    finally:
        for path, data in real.items():
            _install(path, data)
            os.chmod(path, 0o755 if path == world.MANAGER else 0o711)


def _newer():
    """Manager and worker, but for their version."""
    files = {}
    for path in (world.MANAGER, f'{world.HELPERS}/dm-worker'):
        data = _read(path)
        assert OLD.encode() in data, f'{path} does not hold its version'
        files[path] = data.replace(OLD.encode(), NEW.encode())
    return files


def _version(w):
    return re.search(r'daemon-manager (\d\S+)', w.dmctl('root', 'version').exits(0).text).group(1)


def _upgrade(w, program=world.MANAGER):
    return w.run('root', program, '--upgrade', timeout=world.PATIENCE)


def _stubborn(w):
    w.script('/srv/stubborn', '#!/bin/sh\ntrap "" TERM\ntouch "/tmp/ready.$$"\nwhile :; do sleep 0.1; done\n')


def _ready(count):
    world.wait_for(lambda: sum(name.startswith('ready.') for name in os.listdir('/tmp')) == count, f'{count} ignore TERM')


# ---- one at a time

def second_start(w):
    """A second manager is refused with the pid of the first, which does not notice."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    second = subprocess.run([world.MANAGER], capture_output=True, text=True, timeout=world.PATIENCE, stdin=subprocess.DEVNULL)
    assert second.returncode == 1 and f'pid {w.manager.pid}' in second.stderr, second
    assert w.up('david/web') == pid


def second_start_after_a_kill(w):
    """The lock of a killed manager is nobody's, though daemons of its run on."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    wreck.kill_manager(w)
    w.start()
    assert w.up('david/web') == pid


def pidfile(w):
    """--pidfile writes the pid, mode 0644, and removes the file at the end; a refused second start does not touch it."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start(arguments=['--pidfile', '/run/dm.pid'])
    with open('/run/dm.pid') as file:
        assert file.read() == f'{w.manager.pid}\n'
    assert os.stat('/run/dm.pid').st_mode & 0o777 == 0o644
    second = subprocess.run([world.MANAGER, '--pidfile', '/run/dm.pid'], capture_output=True, text=True, timeout=world.PATIENCE)
    assert second.returncode == 1
    with open('/run/dm.pid') as file:
        assert file.read() == f'{w.manager.pid}\n'
    assert w.stop() == 0 and not os.path.exists('/run/dm.pid')


def pidfile_in_the_background(w):
    """With --background the pid in the pidfile is that of the manager which stays."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    started = subprocess.run([world.MANAGER, '--background', '--pidfile', '/run/dm.pid'], timeout=world.PATIENCE, **QUIET)
    assert started.returncode == 0
    w.up('david/web')
    with open('/run/dm.pid') as file:
        pid = int(file.read())
    assert w.command_of(pid)[0].endswith('daemon-manager')
    os.kill(pid, signal.SIGTERM)
    world.wait_for(lambda: not w.alive(pid), 'it ends')
    assert not w.find('sleep 1001')


def background_lets_go(w):
    """With --background nothing of the caller's is held on: who reads its output sees its end when it serves."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    started = subprocess.run([world.MANAGER, '--background'], capture_output=True, text=True, timeout=world.PATIENCE, stdin=subprocess.DEVNULL)
    assert started.returncode == 0, started
    w.up('david/web')


def shared_log(w):
    """Where standard error is a file that others write to as well, nobody writes over the lines of another."""
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    w.manager = subprocess.Popen(['sh', '-c', f'(echo before >&2; {world.MANAGER}; echo behind >&2) 2> /tmp/shared'], **QUIET | {'stderr': None})
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    manager = next(pid for pid in w.find(world.MANAGER) if w.command_of(pid) == [world.MANAGER])
    w.dmctl('root', 'start', 'all')  # (which the worker tells)
    os.kill(manager, signal.SIGTERM)
    assert w.manager.wait(world.PATIENCE) == 0
    lines = _read('/tmp/shared').decode().splitlines()
    assert lines[0] == 'before' and lines[-2:] == ['stopped', 'behind'] and 'stopping all daemons' in lines, lines


# ---- the end

def sigterm_in_parallel(w):
    """SIGTERM stops all at once: ten daemons that ignore it, each with a stop_timeout of 2 s, are gone long before 20 s, and it exits 0."""
    _stubborn(w)
    for i in range(10):
        w.conf('david' if i % 2 else 'amy', f'd{i}', 'dir=/\nstop_timeout=2s\nstart=/srv/stubborn\n')
    w.start()
    _ready(10)
    begin = time.monotonic()
    code = w.stop(deadline=18)
    assert code == 0, code
    assert time.monotonic() - begin > 1.5, 'they were not given their time'
    assert not w.find('/srv/stubborn')


def sigterm_then_start(w):
    """After SIGTERM nothing is remembered: what was stopped by hand starts with the next manager when its conf says autostart."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert w.stop() == 0
    w.start()
    row = w.up('david/web')
    assert row and w.row('david/web').respawns == 0


def sigusr1_leaves(w):
    """SIGUSR1 ends the manager with 0 and leaves the daemons; the next takes each over, with what was stopped and counted."""
    for i in range(4):
        w.conf('david', f'd{i}', f'dir=/\noutput=log\nstart=sleep 100{i}\n')
    w.start()
    pids = wreck.pids_of(w, [f'david/d{i}' for i in range(4)])
    w.dmctl('david', 'stop', 'd3').exits(0)
    os.kill(pids['david/d0'], signal.SIGKILL)
    world.wait_for(lambda: w.rows()['david/d0'].respawns == 1, 'd0 is back')
    before = w.rows()
    assert w.stop(signal.SIGUSR1) == 0
    for i in range(3):
        assert w.alive(before[f'david/d{i}'].pid)
    w.start()
    after = w.rows()
    assert [(row.id, row.state, row.pid, row.respawns) for row in after.values()] == \
        [(row.id, row.state, row.pid, row.respawns) for row in before.values()], (before, after)


# ---- upgrade

def upgrade(w):
    """--upgrade puts the installed program in place: version and worker are new, no daemon is touched, nobody who asks is refused,
    no line of a log is lost."""
    w.script('/srv/lines', LINES)
    w.conf('david', 'lines', 'dir=/\noutput=log\nstart=/srv/lines\n')
    w.conf('david', 'web', 'dir=/\ncooldown=5s\nstart=sleep 1001\n')
    w.conf('amy', 'down', 'dir=/\nstart=sleep 1002\n')
    w.start()
    pids = wreck.pids_of(w, ['david/lines', 'david/web', 'amy/down'])
    w.dmctl('amy', 'stop', 'down').exits(0)
    asker, manager, worker = wreck.Asker(), w.manager.pid, w.worker()
    asker.wait_more()
    assert _version(w) == OLD
    with _installed(_newer()):
        assert _version(w) == OLD, 'to install is not to upgrade'
        _upgrade(w).exits(0)
        world.wait_for(lambda: _version(w) == NEW, 'the version is new')
    asker.wait_more()
    wreck.none_refused(asker.end())
    assert w.manager.poll() is None and w.manager.pid == manager and w.worker() != worker
    assert w.up('david/lines') == pids['david/lines'] and w.up('david/web') == pids['david/web']
    assert w.row('amy/down').state == 'stopped'
    os.kill(pids['david/web'], signal.SIGKILL)  # it is still watched
    w.wait_note('david/web', 'SIGKILL')
    w.up('david/web')
    numbers = []
    def grown():
        with open('/home/david/.daemon-manager/logs/lines.log', errors='replace') as log:
            numbers[:] = [int(number) for number in re.findall(r'line (\d+)', log.read())]
        return len(numbers) > 300
    world.wait_for(grown, lambda: f'300 lines: {len(numbers)}')
    assert numbers == list(range(1, len(numbers) + 1)), [pair for pair in zip(numbers, numbers[1:]) if pair[1] != pair[0] + 1]


def upgrade_many_times(w):
    """Ten upgrades in a row, while others ask: none is refused, no daemon is touched, no descriptor is left open."""
    for i in range(20):
        w.conf('david', f'd{i}', f'dir=/\noutput={"log" if i % 2 else "discard"}\nstart=sleep {1000 + i}\n')
    w.start()
    pids = wreck.pids_of(w, [f'david/d{i}' for i in range(20)])
    asker = wreck.Asker()
    counts = []
    for _ in range(10):
        _upgrade(w).exits(0)
        asker.wait_more(1)
        assert wreck.pids_of(w, pids) == pids
        counts.append(len(os.listdir(f'/proc/{w.manager.pid}/fd')))
    wreck.none_refused(asker.end())
    assert counts[-1] <= counts[1] + 2, f'descriptors grow: {counts}'


def upgrade_by_signal(w):
    """SIGUSR2 does the same as --upgrade."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    with _installed(_newer()):
        w.manager.send_signal(signal.SIGUSR2)
        world.wait_for(lambda: _version(w) == NEW, 'the version is new')
    assert w.up('david/web') == pid


def upgrade_in_a_stop_and_a_cooldown(w):
    """An upgrade while one daemon stops and another waits in its cooldown: both go on as if nothing had been."""
    _stubborn(w)
    w.conf('david', 'web', 'dir=/\ncooldown=7s\nstart=sleep 1001\n')
    w.conf('david', 'slow', 'dir=/\nstop_timeout=3s\nstart=/srv/stubborn\n')
    w.start()
    _ready(1)
    os.kill(w.up('david/web'), signal.SIGKILL)
    died = time.monotonic()
    w.wait_state('david/web', 'cooldown')
    w.dmctl('david', 'stop', 'slow', '--no-wait').exits(0)
    _upgrade(w).exits(0)
    w.wait_state('david/slow', 'stopped')
    w.up('david/web')
    assert time.monotonic() - died > 6.5, 'the cooldown was cut short'
    assert w.row('david/web').respawns == 1 and not w.find('/srv/stubborn')


def _refused_upgrade(w, files, program=world.MANAGER, words=()):
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid, worker = w.up('david/web'), w.worker()
    old = '/usr/local/sbin/daemon-manager-before'
    _install(old, _read(world.MANAGER))
    try:
        with _installed(files):
            _upgrade(w, old).exits(1).says('old one runs on')
            assert 'no upgrade' in w.log(), w.log()
            for word in words:
                assert word in w.log(), w.log()
            assert _version(w) == OLD and w.worker() == worker and w.up('david/web') == pid
            w.dmctl('david', 'restart', 'web').exits(0)
    finally:
        os.unlink(old)
    _upgrade(w).exits(0)  # and a good one is taken afterwards
    w.up('david/web')


def upgrade_to_a_broken_program(w):
    """A new program that fails its self-test is refused: the old one serves on, and --upgrade says so with exit 1."""
    _refused_upgrade(w, {world.MANAGER: _read('/bin/false')})


def upgrade_to_a_program_that_hangs(w):
    """A new program that never ends its self-test is given up after 40 s, and the next upgrade is taken."""
    subprocess.run(['gcc', '-O1', '-x', 'c', '-', '-o', '/srv/hangs'], input=b'#include <unistd.h>\nint main(void) { for (;;) pause(); }\n', check=True)
    _refused_upgrade(w, {world.MANAGER: _read('/srv/hangs')}, words=['did not end in 40 s'])
    assert not w.find('--selftest')


def upgrade_to_no_program(w):
    """A file that cannot be executed at all is refused in the same way."""
    _refused_upgrade(w, {world.MANAGER: b'this is no program\n'})


def upgrade_without_a_helper(w):
    """A package that lacks a helper is refused, and the log names it."""
    _refused_upgrade(w, {f'{world.HELPERS}/dm-run': None}, words=['dm-run'])


def upgrade_with_a_broken_worker(w):
    """A package whose worker does not come up is refused."""
    _refused_upgrade(w, {f'{world.HELPERS}/dm-worker': _read(f'{world.HELPERS}/dm-listen')})


def upgrade_with_a_broken_config(w):
    """While the config has an error no upgrade is taken: the new program could not read it."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n')
    pid = w.up('david/web')
    world.write(world.CONFIG, '[runs_as]\ndavid\n[nonsense]\n')
    _upgrade(w).exits(1)
    assert f'{world.CONFIG}:3:1' in w.log(), w.log()
    assert w.up('david/web') == pid


def upgrade_of_none(w):
    """--upgrade where no manager runs says so and exits 1."""
    _upgrade(w).exits(1).says('no manager is running')


def installed_helpers_wait(w):
    """Helpers that are installed anew change nothing before the upgrade: each start goes through the ones of the running manager."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    broken = _read('/bin/false')
    with _installed({f'{world.HELPERS}/{name}': broken for name in ('dm-run', 'dm-scan', 'dm-log', 'dm-listen', 'dm-worker', 'dm-policy')}):
        w.dmctl('david', 'restart', 'web').exits(0)
        again = w.up('david/web')
        assert again != pid
        wreck.kill_worker(w)
        w.dmctl('david', 'rescan').exits(0)
        w.reload('[runs_as]\ndavid\n')
        assert 'read again' in w.log() and w.up('david/web') == again


# ---- where it runs

@contextlib.contextmanager
def _proc(options):
    """/proc mounted with these options while it lasts."""
    try:
        world.mount('-o', 'remount,' + options, '/proc')
        yield
    finally:
        world.mount('-o', 'remount,hidepid=0,gid=0', '/proc')


def _whole_life(w):
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=true; sleep 1001; true\n')
    w.conf('david', 'as-www', 'dir=/\nuser=www-data\ncooldown=5s\nstart=sleep 1002\n')
    w.start()
    web, other = w.up('david/web'), w.up('david/as-www')
    os.kill(other, signal.SIGKILL)
    w.wait_note('david/as-www', 'SIGKILL')
    world.wait_for(lambda: w.row('david/as-www').respawns == 1, 'it comes back')
    other = w.up('david/as-www')
    wreck.kill_manager(w)
    w.start()
    assert w.up('david/web') == web and w.up('david/as-www') == other
    _upgrade(w).exits(0)
    assert w.up('david/web') == web
    os.kill(other, signal.SIGKILL)
    world.wait_for(lambda: w.row('david/as-www').respawns == 2, 'it comes back')
    w.up('david/as-www')
    w.dmctl('david', 'restart', 'web').exits(0)
    w.dmctl('root', 'stop', 'all').exits(0)
    assert not w.find('sleep 100')
    assert w.stop() == 0


def hidepid_2(w):
    """With /proc mounted hidepid=2 all goes on: start, crash, kill -9 of the monitor, upgrade, stop."""
    with _proc('hidepid=2'):
        _whole_life(w)


def hidepid_2_with_a_group(w):
    """The same with hidepid=2 and gid=: root without its capabilities is not in that group."""
    with _proc('hidepid=2,gid=2001'):
        _whole_life(w)


def hidepid_4(w):
    """The same with hidepid=4, where only what one may ptrace is there."""
    with _proc('hidepid=4'):
        _whole_life(w)


def first_process(w):
    """As the first process of a container it reaps orphans, its own and strangers', and ends on SIGTERM with all daemons stopped."""
    w.script('/srv/parent', '#!/bin/sh\nwhile :; do (setsid sh -c "sleep 0.01 & exec sleep 0.02" &) ; sleep 0.05; done\n')
    w.conf('david', 'parent', 'dir=/\nstart=/srv/parent\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    world.write(world.CONFIG, w.DEFAULT_CONFIG)
    with open(w.log_file, 'a') as log:
        box = subprocess.Popen(['unshare', '--mount', '--pid', '--fork', '--mount-proc', world.MANAGER], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, start_new_session=True, cwd='/', env={'PATH': world.PATH})
    w.manager = box
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'the manager serves')
    w.up('david/parent')
    w.up('david/web')
    first = next(pid for pid in w.pids() if w.status_of(pid).get('NSpid', '').split()[1:] == ['1'])
    stranger = subprocess.run(['nsenter', '-t', str(first), '-p', '-m', 'sh', '-c', 'setsid sleep 0.1 & :'], timeout=world.PATIENCE)
    assert stranger.returncode == 0
    time.sleep(1)
    def zombies():
        return [w.status_of(pid).get('Name') for pid in w.pids() if w.status_of(pid).get('State', '').startswith('Z')
                and w.status_of(pid).get('PPid') == str(first)]
    world.wait_for(lambda: not zombies(), lambda: f'no zombies: {zombies()}')
    os.kill(first, signal.SIGTERM)
    assert box.wait(20) == 0, f'{box.returncode}\n{w.log()}'
    assert not w.find('sleep 1001') and not w.find('/srv/parent')
    assert 'stopped' in w.log()


def hung_home(w):
    """A home whose file system never answers holds back its owner alone, who is told; neither shutdown nor upgrade waits for it;
    when it is back `dmctl rescan` suffices."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    with hung_fs.hung('/home/amy'):
        w.start('[runs_as]\ndavid\namy\n[manages]\nhelpdesk: amy\n')
        pid = w.up('david/web')
        assert not w.find('sleep 1002')
        stuck = world.wait_for(lambda: w.of_user('amy'), 'a helper is stuck')
        w.wait_note('amy', 'did not answer in 10 s', 'rescan', user='helpdesk')
        assert w.of_user('amy') == stuck, 'more helpers than one of each kind'
        w.dmctl('david', 'restart', 'web').exits(0)
        pid = w.up('david/web')
        _upgrade(w).exits(0)
        assert w.up('david/web') == pid
        wreck.kill_worker(w)
        assert w.up('david/web') == pid
        assert w.stop(deadline=20) == 0  # shutdown_timeout is 60 s
        w.start()
        w.up('david/web')
    world.wait_for(lambda: not w.of_user('amy'), 'the stuck helpers are gone')
    w.dmctl('amy', 'rescan').exits(0)
    w.up('amy/radio')


def home_that_hangs_later(w):
    """When a home hangs while its owner's daemons run, they run on, crash and come back; a rescan of his is answered, with the reason,
    and so are starts and restarts, as long as the helper that hangs in it does not end."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('amy', 'idle', 'dir=/\nautostart=no\nstart=sleep 1003\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n[manages]\nhelpdesk: amy\n')
    pid = w.up('amy/radio')
    with hung_fs.hung('/home/amy'):
        answer = w.dmctl('helpdesk', '-u', 'amy', 'rescan')
        assert answer.code == 1 and 'did not answer' in answer.text, repr(answer)
        assert w.alive(pid)
        for words in ('restart', 'amy/radio'), ('start', 'amy/idle'), ('restart', 'amy/radio', 'amy/idle'), ('-u', 'amy', 'rescan'):
            w.dmctl('helpdesk', *words).exits(1).says('did not answer')
        w.dmctl('david', 'restart', 'web').exits(0)
        assert w.row('amy/radio').pid == pid
    world.wait_for(lambda: w.dmctl('helpdesk', '-u', 'amy', 'rescan').code == 0, 'it can be read again')
    assert w.up('amy/radio') == pid


def home_that_comes_late(w):
    """A home that is not there at the start is no error of others; once it is there `dmctl rescan` suffices."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    os.rename('/home/amy', '/home/amy.away')
    w.start()
    w.up('david/web')
    answer = w.dmctl('amy', 'rescan')
    assert answer.code == 1 and '/home/amy' in answer.text and 'rescan' in answer.text, repr(answer)
    os.rename('/home/amy.away', '/home/amy')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.dmctl('amy', 'rescan').exits(0)
    w.up('amy/radio')
    assert os.path.exists('/home/amy/.daemon-manager/command.sock')


def done_while_its_home_is_away(w):
    """A task that ended while there was no manager, and a stop, are what they are though the home cannot be read at the takeover."""
    w.conf('amy', 'job', 'dir=/\ntype=task\nstart=trap "exit 0" TERM; sleep 1003 & wait\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    job = w.up('amy/job')
    world.wait_for(lambda: w.find('sleep 1003'), 'it has its trap')
    os.kill(w.manager.pid, signal.SIGSTOP)
    os.kill(job, signal.SIGTERM)
    world.wait_for(lambda: not w.alive(job), 'it has ended')
    wreck.kill_manager(w)
    # (As long as nobody has reaped it the kernel still tells how it ended.)
    world.wait_for(lambda: not w.status_of(job), 'nothing is left of it')
    os.rename('/home/amy', '/home/amy.away')
    w.start()
    assert w.dmctl('root', '-u', 'amy', 'rescan').code == 1
    w.dmctl('root', 'stop', 'amy/radio').exits(0)
    os.rename('/home/amy.away', '/home/amy')
    w.dmctl('amy', 'rescan').exits(0)
    assert w.row('amy/radio').state == 'stopped', w.rows()
    w.wait_state('amy/job', 'failed')  # how it ended nobody saw
    assert not w.find('sleep 100')


def upgrade_in_a_stop(w):
    """An upgrade sends one that is being stopped no second signal: many take that for an order to drop everything."""
    w.conf('david', 'web', 'dir=/\nstop_timeout=1h\nstart=trap "echo >>/tmp/terms" TERM; while :; do sleep 0.05; done\n')
    os.chmod('/tmp', 0o777)
    w.start()
    pid = w.up('david/web')
    stop = w.background('david', world.DMCTL, 'stop', 'web')
    world.wait_for(lambda: os.path.exists('/tmp/terms'), 'it had its signal')
    for _ in range(3):
        _upgrade(w).exits(0)
        w.wait_state('david/web', 'stopping')
    w.conf('david', 'other', 'dir=/\nstart=sleep 1001\n')
    w.dmctl('david', 'start', 'other').exits(0)
    assert open('/tmp/terms').read() == '\n', 'it was told once'
    os.kill(pid, signal.SIGKILL)
    w.wait_state('david/web', 'stopped')
    stop.kill()
    stop.communicate()


def home_that_goes_and_comes(w):
    """A home that is unmounted under running daemons takes none of them away, and when it is back nothing needs to be started."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    pid = w.up('amy/radio')
    os.rename('/home/amy', '/home/amy.away')
    assert w.dmctl('root', '-u', 'amy', 'rescan').code == 1
    assert w.row('amy/radio').pid == pid and w.row('amy/radio').state == 'running'
    wreck.kill_worker(w)
    assert w.row('amy/radio').pid == pid, 'taken over, though the last reading found no confs'
    wreck.kill_manager(w)
    w.start()
    assert w.row('amy/radio').pid == pid, 'taken over, though nobody can read the conf'
    os.rename('/home/amy.away', '/home/amy')
    w.dmctl('amy', 'rescan').exits(0)
    assert w.up('amy/radio') == pid
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: w.rows()['amy/radio'].respawns == 1 and w.rows()['amy/radio'].state == 'running', 'it comes back')


# ---- reload

def reload_of_manages(w):
    """A reload gives and takes the right to manage at once; open daemons do not notice."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n')
    pid = w.up('david/web')
    w.dmctl('helpdesk', 'status').exits(4)
    w.reload('[runs_as]\ndavid\n[manages]\nhelpdesk: david\n')
    world.wait_for(lambda: 'david/web' in w.dmctl('helpdesk', 'status').text, 'helpdesk sees it')
    w.reload('[runs_as]\ndavid\n')
    world.wait_for(lambda: w.dmctl('helpdesk', 'status').code == 4, 'helpdesk sees it no more')
    assert w.up('david/web') == pid


def reload_of_limits(w):
    """A smaller limit at a reload stops nothing that runs; a larger one is there at once."""
    for i in range(4):
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep 100{i}\n')
    w.start('[runs_as]\ndavid\n')
    pids = wreck.pids_of(w, [f'david/d{i}' for i in range(4)])
    w.reload('[runs_as]\ndavid\n[limits]\ndavid: daemons=2\n')
    assert wreck.pids_of(w, pids) == pids
    w.conf('david', 'd4', 'dir=/\nstart=sleep 1004\n')
    w.dmctl('david', 'rescan')
    w.wait_note('david/d4', 'limit') if 'david/d4' in w.rows() else w.wait_note('limit')
    w.reload('[runs_as]\ndavid\n[limits]\ndavid: daemons=9\n')
    w.dmctl('david', 'rescan')
    w.up('david/d4')
    assert wreck.pids_of(w, pids) == pids


def room_after_the_limit(w):
    """One over the limit is told so at once whenever he starts it; when he removes another, as he was told, a rescan is enough."""
    for i in range(4):
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep 100{i}\n')
    w.start('[runs_as]\ndavid\n[limits]\ndavid: daemons=3\n')
    w.wait_note('david/d3', 'limit')
    for _ in range(2):
        answer = w.dmctl('david', 'start', 'd3').exits(1)
        assert 'at most 3 daemons' in answer.text, repr(answer)
    w.wait_note('david/d3', 'at most 3 daemons')
    os.unlink(w.conf_path('david', 'd1'))
    w.dmctl('david', 'rescan').exits(0)
    w.up('david/d3')
    w.gone('sleep 1001')


def reload_with_the_name_service_down(w):
    """With the name service down altogether a reload touches nobody's daemon; when it is back all is as before."""
    w.conf('david', 'as-www', 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    config = '[runs_as]\ndavid: www-data\namy\n'
    w.start(config)
    pids = wreck.pids_of(w, ['david/as-www', 'amy/radio'])
    with open('/etc/passwd') as passwd:
        text = passwd.read()
    world.write('/etc/passwd', ''.join(line for line in text.splitlines(True) if line.startswith(('root:', '_daemon-manager:'))))
    w.reload(config)
    w.worker()
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    assert all(w.alive(pid) for pid in pids.values()), w.log()
    wreck.kill_worker(w)
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    assert all(w.alive(pid) for pid in pids.values()), w.log()
    world.write('/etc/passwd', text)
    w.reload(config)
    assert wreck.pids_of(w, pids) == pids
    w.dmctl('david', 'restart', 'as-www').exits(0)


def reload_of_a_target(w):
    """When only the right to one target is taken, only the daemons that run as it are stopped, and it is said whose and why."""
    w.conf('david', 'as-www', 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    w.conf('david', 'as-nobody', 'dir=/\nuser=nobody\nstart=sleep 1002\n')
    w.conf('david', 'own', 'dir=/\nstart=sleep 1003\n')
    w.start('[runs_as]\ndavid: www-data, nobody\n')
    pids = wreck.pids_of(w, ['david/as-www', 'david/as-nobody', 'david/own'])
    w.reload('[runs_as]\ndavid: www-data\n')
    w.gone('sleep 1002')
    w.wait_log('david/as-nobody', 'no longer allows')
    w.wait_note('david/as-nobody', 'runs_as')
    assert w.up('david/as-www') == pids['david/as-www'] and w.up('david/own') == pids['david/own']
    w.reload('[runs_as]\ndavid: www-data, nobody\n')
    w.dmctl('david', 'start', 'as-nobody').exits(0)


def reload_of_a_target_that_was_shut_out(w):
    """Why one could not start is told with the name of whom it was to run as, though the config does not name him any more."""
    w.folder('/home/david/closed', 'david', 0o700)
    w.conf('david', 'site', 'dir=/home/david/closed\nuser=www-data\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid: www-data\n')
    w.wait_note('david/site', 'shuts www-data out')
    w.reload('[runs_as]\ndavid\n')
    said = w.wait_note('david/site', 'ask root for the line "david: www-data" under [runs_as]', 'shuts www-data out')
    assert '?' not in said, said


def reload_of_a_target_of_before(w):
    """One that runs as somebody as whom it may not any more, while its conf says another by now, is stopped without its stop= and
    after_exit=, which would run as he; no worker dies of it, and it starts as its conf says."""
    commands = 'stop=touch /tmp/stopped\nafter_exit=touch /tmp/ended\nreload=touch /tmp/reloaded\n'
    w.conf('david', 'site', f'dir=/\nuser=www-data\n{commands}start=sleep 1001\n')
    w.start('[runs_as]\ndavid: www-data\n')
    w.up('david/site')
    w.conf('david', 'site', f'dir=/\n{commands}start=sleep 1002\n')
    w.dmctl('david', 'rescan').exits(0)
    w.reload('[runs_as]\ndavid\n')
    w.gone('sleep 1001')
    w.dmctl('david', 'start', 'site').exits(0)
    assert w.status_of(w.up('david/site'))['Uid'].split()[0] == '1000'
    assert 'david/site is stopped: root no longer allows david to run as the user that it runs as\n' in w.log(), w.log()
    assert 'is replaced' not in w.log() and not os.path.exists('/tmp/stopped') and not os.path.exists('/tmp/ended'), w.log()


def reload_removes_and_brings_back(w):
    """A user who is removed loses daemons and socket; brought back, his daemons start and his socket serves."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n')
    w.up('amy/radio')
    w.reload('[runs_as]\ndavid\n')
    w.gone('sleep 1002')
    w.wait_log('\nradio of uid 1001 is stopped and forgotten: no line in the master config names its owner any more\n')
    assert w.dmctl('amy', 'status').code in (4, 7)
    assert 'amy' not in w.dmctl('root', 'status').text
    w.reload('[runs_as]\ndavid\namy\n')
    w.up('amy/radio')
    world.wait_for(lambda: w.dmctl('amy', 'status').code == 0, 'amy is served')


STRUCK = 'amy may have no daemons; root can list amy under [runs_as] in ' + world.CONFIG


def reload_of_one_who_stays_managed(w):
    """One whose line under [runs_as] goes while others still manage him is told of as one who may have no daemons, whatever is asked
    of them; no worker dies of it; and when the line is back they are started as at the beginning."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.conf('amy', 'idle', 'dir=/\nautostart=no\nstart=sleep 1003\n')
    w.conf('amy', 'farm', 'dir=/\ninstances=2\nstart=sleep 1004\n')
    w.conf('amy', 'surplus', 'dir=/\nstart=sleep 1005\n')  # without a place
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    with_amy = '[runs_as]\ndavid\namy\n[manages]\nhelpdesk: david, amy\n[limits]\namy: daemons=4\n'
    w.start(with_amy)
    pids = wreck.pids_of(w, ['amy/radio', 'david/web'])
    w.reload(with_amy.replace('\namy\n', '\n'))
    w.gone('sleep 1002')
    w.gone('sleep 1004')
    worker = w.worker()
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'it serves')
    for name in ('radio', 'idle', 'farm:1', 'farm:2'):
        assert f"\namy/{name} is stopped and forgotten: its owner's line under [runs_as] is gone\n" in w.log(), w.log()
    for user in ('helpdesk', 'root'):
        for words in (['start', 'amy/radio'], ['restart', 'amy/radio'], ['restart', 'amy/farm'], ['try-restart', 'amy/farm:1'],
                      ['start', 'amy/idle'], ['-u', 'amy', 'start', 'idle'], ['reload', 'amy/radio'], ['stop', 'amy/radio'],
                      ['scale', 'amy/farm', '3'], ['-u', 'amy', 'rescan'], ['start', 'amy/none']):
            w.dmctl(user, *words).exits(4).says(STRUCK)
    w.dmctl('amy', 'start', 'radio').exits(4).says('you (uid 1001) are not listed in the master config')
    assert w.worker() == worker and 'may run nothing' not in w.log(), w.log()
    assert w.up('david/web') == pids['david/web'] and 'amy' not in w.dmctl('root', 'status').text
    w.reload(with_amy)
    w.up('amy/radio')
    w.up('amy/farm:2')
    assert w.row('amy/idle').state == 'stopped'
    assert 'is killed' not in w.log() and 'ended' not in w.log(), w.log()


def reload_while_asked(w):
    """Of those who ask while the config is read again and again, none is refused."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    config = '[runs_as]\ndavid\n'
    w.start(config)
    pid = w.up('david/web')
    asker = wreck.Asker()
    for _ in range(5):
        asker.wait_more(2)
        w.reload(config)
    asker.wait_more()
    wreck.none_refused(asker.end())
    assert w.up('david/web') == pid
