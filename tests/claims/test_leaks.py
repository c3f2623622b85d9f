"""What must not get out: the values of exports, what the manager has open, and what whoever started it left behind."""
import errno
import os
import pty
import re
import signal
import subprocess

import attack
import world

SECRET = 'hunter2-' + 'q' * 20


def exports_stay_away_from_the_worker(w):
    """The values of exports, and of an env_file, are not in the worker's memory, nor in the book that it holds, nor in the log or any answer; the daemon
    has them. Claim: exports-hidden."""
    w.conf('david', 'web', f'dir=/\nexport PASSWORD={SECRET}\n# {SECRET}\nexport SECOND="{SECRET}"\nstart=sleep 1001\nenv_file=%h/env\n')
    world.write('/home/david/env', f'THIRD={SECRET}\n# {SECRET}\n', 0o600, 1000, 1000)
    w.start()
    pid = w.up('david/web')
    assert attack.read(f'/proc/{pid}/environ').count(SECRET) == 3
    w.dmctl('david', 'restart', 'web').exits(0)
    os.kill(w.up('david/web'), signal.SIGKILL)
    world.wait_for(lambda: w.rows()['david/web'].respawns == 1, 'it comes back')
    said = [w.dmctl(user, verb, *ids) for user in ('david', 'root') for verb, *ids in
            (('status',), ('list',), ('rescan',), ('status', 'david/web'))]
    assert not [answer for answer in said if SECRET in answer.text]
    assert attack.places(w, SECRET.encode(), b'PASSWORD') == []


WRONG = (f'exprot PASSWORD={SECRET}', f'export PASSWORD {SECRET}', f'export 1PASSWORD={SECRET}', f'EXPORT PASSWORD={SECRET}',
         f'export\tPASSWORD:{SECRET}', f'export PASSWORD\n={SECRET}', f'PASSWORD={SECRET}', f'export PASSWORD=\\\n{SECRET}',
         f'exportPASSWORD={SECRET}', f'; export PASSWORD={SECRET}', f'export PASSWORD="{SECRET}\n{SECRET}"',
         f'export PASSWORD={SECRET}\nexport PASSWORD={SECRET}', f'\xa0export PASSWORD={SECRET}', f'password={SECRET}')


def wrong_exports_stay_away(w):
    """Secrets in lines that are no sound exports are as hidden from the worker, the log and all answers as those in sound ones.
    Claim: exports-hidden."""
    for number, lines in enumerate(WRONG):
        w.conf('david', f'wrong{number}', f'dir=/\nautostart=no\n{lines}\nstart=sleep 1001\n')
    w.conf('david', 'open', f'dir=/\nexport PASSWORD={SECRET}\nstart=sleep 1001\n', 0o666)
    w.conf('david', 'nul', f'dir=/\nexport PASSWORD={SECRET}\0\nstart=sleep 1001\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1999\n')
    w.start()
    w.up('david/web')
    answers = [w.dmctl('david', verb) for verb in ('status', 'rescan')]
    answers += [w.dmctl('david', 'start', f'wrong{number}', '--no-wait') for number in range(len(WRONG))]
    assert sum('wrong' in answer.text for answer in answers) > len(WRONG) // 2
    assert not [answer for answer in answers if SECRET in answer.text]
    assert attack.places(w, SECRET.encode(), b'wrong0') == []


def descriptors_of_a_busy_manager(w):
    """Daemons of a manager that holds a descriptor for each log, started side by side and while clients are connected, have 0, 1 and 2
    each and nothing that any other has. Claim: daemon-descriptors."""
    for number in range(60):
        kind = ('output=log\n', '', 'user=www-data\noutput=log\n')[number % 3]
        w.conf('david', f'd{number}', f'dir=/\n{kind}start=sleep {2000 + number}\n')
    w.start()
    askers = [w.background('david', world.DMCTL, 'restart', 'all') for _ in range(3)]
    for asker in askers:
        asker.communicate(timeout=world.PATIENCE)
    pids = [w.up(f'david/d{number}') for number in range(60)]
    assert len(os.listdir(f'/proc/{w.manager.pid}/fd')) > 40
    fifos = []
    for pid in pids:
        fds = {fd: os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')}
        assert sorted(fds) == ['0', '1', '2'] and fds['0'] == '/dev/null' and fds['1'] == fds['2'], fds
        fifos += [fds['1']] if fds['1'] != '/dev/null' else []
    assert len(fifos) == len(set(fifos)) == 40 and all(re.fullmatch(r'/run/daemon-manager/log/\d+', fifo) for fifo in fifos)


def own_descriptors(w):
    """What a daemon itself finds open, by trying every number, is 0, 1 and 2. Claim: daemon-descriptors."""
    text = ('import os, time\nfound = []\nfor fd in range(20000):\n    try:\n        os.fstat(fd)\n        found.append(fd)\n'
            '    except OSError:\n        pass\nopen("/tmp/part", "w").write(str(found))\nos.rename("/tmp/part", "/tmp/found")\n'
            'time.sleep(1001)\n')
    for name, output in (('web', 'discard'), ('logged', 'log')):
        w.conf('david', name, f'dir=/\nautostart=no\noutput={output}\nstart={attack.program(w, "found", text)}\n')
    w.start()
    for name in ('web', 'logged'):
        w.dmctl('david', 'start', name).exits(0)
        world.wait_for(lambda: os.path.exists('/tmp/found'), 'it has looked')
        assert attack.read('/tmp/found') == '[0, 1, 2]', (name, attack.read('/tmp/found'))
        os.unlink('/tmp/found')


# ---- what the caller leaves

IGNORED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN + 5)
HELPERS = {'dm-policy.990': '0 1 2 3 4', 'dm-scan.1000': '0 1 2 3 4', 'dm-listen.1000': '0 1 2 3', 'dm-log.1000': '0 1 2 3',
           'dm-run.33': '0 1 2 3 4'}


def _odd_start(w, before):
    """A manager whose caller did `before` in the child, on a terminal of its own, with the daemon david/web."""
    w.conf('david', 'web', 'dir=/\nuser=www-data\noutput=log\nstart=sleep 1001\n')
    world.write(world.CONFIG, '[runs_as]\ndavid: www-data\n')
    master, slave = pty.openpty()
    def child():
        import fcntl
        import termios
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        before()
    with open(w.log_file, 'a') as log:
        w.manager = subprocess.Popen([world.MANAGER], stdin=slave, stdout=log, stderr=log, cwd='/tmp', preexec_fn=child, close_fds=False,
                                     env={'PATH': world.PATH, 'SECRET_OF_ROOT': SECRET, 'LD_PRELOAD': '', 'IFS': 'x', 'TZ': 'Nowhere'})
    os.close(slave)
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'the manager serves')
    pid = w.up('david/web')
    return master, pid


def _tty(pid):
    """The session and the controlling terminal of a process."""
    fields = attack.read(f'/proc/{pid}/stat').rpartition(')')[2].split()
    return int(fields[3]), int(fields[4])


def _leave_things():
    os.umask(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    secret = os.open('/root/secret-of-the-caller', os.O_RDWR | os.O_CREAT, 0o600)
    for fd in (10, 251):
        os.dup2(secret, fd, inheritable=True)


def _clean(name, status):
    assert int(status['SigIgn'], 16) & ~(1 << signal.SIGXFSZ - 1) == 0, f'{name} ignores {status["SigIgn"]}'  # dm-log's own choice
    assert int(status['SigBlk'], 16) == 0, f'{name} blocks {status["SigBlk"]}'


def nothing_of_the_caller(w):
    """A manager that is started with umask 0, seven signals ignored, all blocked, descriptors 10 and 251 open and a secret in its
    environment hands none of these on: neither to a daemon, nor to a helper, nor to the worker. Claim: caller-left-behind."""
    with attack.instead('witness.c', *(name.partition('.')[0] for name in HELPERS)):
        master, pid = _odd_start(w, _leave_things)
        world.wait_for(lambda: attack.witnesses() >= {*HELPERS}, lambda: f'all were seen: {attack.witnesses()}')
    assert SECRET in attack.read(f'/proc/{w.manager.pid}/environ') and os.path.exists('/root/secret-of-the-caller')
    for name, wanted in HELPERS.items():
        born = attack.witnessed(name)
        _clean(name, born)
        assert born['Fds'].strip() == wanted and born['Variables'] == '0', (name, born)
        assert not [value for value in born.values() if 'secret-of' in value or SECRET in value], (name, born)
        assert int(born['Umask'], 8) & 0o022 == 0o022, (name, born['Umask'])
    _clean('the daemon', w.status_of(pid))
    assert w.status_of(pid)['Umask'] == '0022'
    _clean('the worker', w.status_of(w.worker()))
    loggers = [one for one in w.of_user('david') if w.command_of(one)[0] == 'dm-log']
    for one in (pid, w.worker(), *loggers, w.manager.pid):
        held = [os.readlink(f'/proc/{one}/fd/{fd}') for fd in os.listdir(f'/proc/{one}/fd')]
        assert not [name for name in held if 'secret-of' in name], held
        assert one == w.manager.pid or SECRET not in attack.read(f'/proc/{one}/environ')
    os.close(master)


def no_terminal(w):
    """A manager that is started on a terminal gives it to nobody: daemons, helpers and worker have sessions of their own without one,
    /dev/tty is closed to them, and its hang-up ends no daemon. Claim: no-terminal."""
    program = attack.program(w, 'tty', 'import os, time\ntry:\n    os.open("/dev/tty", os.O_RDWR)\nexcept OSError as why:\n'
                                       '    open("/tmp/tty", "w").write(str(why.errno))\ntime.sleep(1001)\n')
    w.conf('david', 'tty', f'dir=/\nstart={program}\n')
    with attack.instead('witness.c', *(name.partition('.')[0] for name in HELPERS)):
        master, pid = _odd_start(w, lambda: None)
        world.wait_for(lambda: attack.witnesses() >= {*HELPERS}, lambda: f'all were seen: {attack.witnesses()}')
        world.wait_for(lambda: os.path.exists('/tmp/tty') and attack.read('/tmp/tty'), 'it has tried')
        assert attack.read('/tmp/tty') == str(errno.ENXIO), attack.read('/tmp/tty')
        assert _tty(w.manager.pid)[1] != 0, 'the manager has no terminal to give'
        for name in HELPERS:
            born = attack.witnessed(name)
            assert born['Terminal'] == 'no' and born['Session'] == born['Pid'], (name, born)
        for one in (pid, w.worker()):
            assert _tty(one) == (one, 0), (one, _tty(one))
        os.close(master)
        w.wait_log('read again')  # what SIGHUP means to it
        assert w.up('david/web') == pid
