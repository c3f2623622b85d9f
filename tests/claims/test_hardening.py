"""What costs nothing: how the installed programs are built and installed, and that daemons inherit none of it."""
import json
import os
import re
import stat
import subprocess

import world
from sanitized import not_sanitized

PROGRAMS = (world.MANAGER, world.DMCTL, *(f'{world.HELPERS}/{name}' for name in
            ('dm-policy', 'dm-worker', 'dm-scan', 'dm-listen', 'dm-run', 'dm-log')))
# What systemd needs to know to run the manager, and nothing that it would do to the manager's processes.
UNIT_KEYS = {'Type', 'ExecStart', 'ExecReload', 'Restart', 'RestartSec', 'KillMode', 'RestartKillSignal', 'TimeoutStopSec',
             'Delegate', 'TasksMax', 'LimitNOFILE'}


def _installed():
    """Mode, owner and extended attributes of all that is staged, {path: …}. The stage is not to be seen inside of the world."""
    stage = json.loads(os.environ.get('DM_WORLD', '{}')).get('stage', '')
    found = {}
    for folder, folders, files in os.walk(stage) if stage else ():
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            found[path[len(stage):]] = (info.st_mode, info.st_uid, info.st_gid, os.listxattr(path, follow_symlinks=False))
    return found


INSTALLED = _installed()


def _readelf(path, *options):
    return subprocess.run(['readelf', '-W', *options, path], capture_output=True, text=True, check=True,
                          env={'LC_ALL': 'C', 'PATH': world.PATH}).stdout


def _segments(path):
    """[(type, flags)] of the program headers; flags like 'RW' or 'R E'."""
    rows = re.findall(r'^ +([A-Z_]+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]{3}) 0x', _readelf(path, '-l'), re.M)
    assert ('LOAD', 'R E') in rows, f'{path}: {rows}'
    return rows


@not_sanitized('it is built to start fast')
def position_independent(w):
    """Every installed program is position independent, the static ones too. Claim: build-hardening."""
    for path in PROGRAMS:
        assert re.search(r'Type: +DYN', _readelf(path, '-h')), path
        assert re.search(r'FLAGS_1.*\bPIE\b', _readelf(path, '-d')), path


def nothing_writable_is_executable(w):
    """No program has memory that is both writable and executable, an executable stack, or text that is relocated. Claim:
    build-hardening."""
    for path in PROGRAMS:
        segments = _segments(path)
        assert not [row for row in segments if 'W' in row[1] and 'E' in row[1]], (path, segments)
        assert [flags for kind, flags in segments if kind == 'GNU_STACK'] == ['RW '], (path, segments)
        assert 'TEXTREL' not in _readelf(path, '-d'), path


def relocations_are_sealed(w):
    """All symbols are bound at the start and the tables are read-only from then on; no program looks for libraries in paths of
    its own. Claim: build-hardening."""
    for path in PROGRAMS:
        dynamic = _readelf(path, '-d')
        assert 'GNU_RELRO' in [kind for kind, _ in _segments(path)], path
        assert 'BIND_NOW' in dynamic and re.search(r'FLAGS_1.*\bNOW\b', dynamic), (path, dynamic)
        assert 'RPATH' not in dynamic and 'RUNPATH' not in dynamic, path


@not_sanitized('the sanitizers check in its stead')
def checked_buffers(w):
    """Every program was built with stack protector, and calls the checked twins of functions that fill buffers, where its symbols
    show it. Claim: build-hardening."""
    seen = 0
    for path in PROGRAMS:
        symbols = _readelf(path, '-s') + _readelf(path, '--dyn-syms')
        static = '.interp' not in _readelf(path, '-S')
        if '__asan_init' in symbols or (static and not re.search(r' main$', symbols, re.M)):
            continue  # the sanitizers do their own; stripped: nothing is left to see
        seen += 1
        assert '__stack_chk_fail' in symbols, path
        # A static program holds those of libc itself too, whoever calls them.
        assert static or re.search(r' UND __(?!stack_)\w+_chk@', symbols), path
    assert seen >= 3, 'nothing was looked at'


def libraries_of_the_monitor(w):
    """The monitor links libc and libcap-ng alone; worker and helpers link nothing at run time. Claim: build-hardening."""
    for path in PROGRAMS:
        needed = set(re.findall(r'NEEDED.*\[(.*?)\.so', _readelf(path, '-d')))
        if 'libasan' in needed:
            continue
        if path == world.MANAGER:
            assert needed <= {'libc', 'libcap-ng', 'ld-linux-x86-64', 'ld-linux-aarch64'}, needed
        elif path.startswith(world.HELPERS) and not path.endswith('dm-policy'):  # name services are modules
            assert not needed and '.interp' not in _readelf(path, '-S'), (path, needed)


def nothing_is_setuid(w):
    """Nothing that is installed is setuid or setgid, has a capability, or may be written to by anybody but root. Claim:
    no-setuid."""
    assert set(PROGRAMS) <= set(INSTALLED), sorted(INSTALLED)
    for path, (mode, uid, gid, attributes) in INSTALLED.items():
        assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX), (path, oct(mode))
        assert stat.S_ISLNK(mode) or not mode & 0o022, (path, oct(mode))
        assert (uid, gid) == (0, 0), path
        assert 'security.capability' not in attributes, path


@not_sanitized('its helpers may be read')
def helpers_unreadable(w):
    """The helpers are 0711: executable, and to be read by nobody but root, so that their processes are closed to all others even
    after exec. Claim: helpers-untraceable."""
    for name in ('dm-policy', 'dm-worker', 'dm-scan', 'dm-listen', 'dm-run', 'dm-log'):
        path = f'{world.HELPERS}/{name}'
        assert stat.S_IMODE(INSTALLED[path][0]) == stat.S_IMODE(os.stat(path).st_mode) == 0o711, path
        w.run('david', 'test', '-x', path).exits(0)
        w.run('david', 'cat', path).exits(1).says('Permission denied')


def undumpable_while_they_live(w):
    """Worker and dm-log are undumpable: their memory is closed even to processes with their very uid. Claim:
    helpers-untraceable."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=sleep 1001\n')
    w.start()
    daemon = w.up('david/web')
    logger = world.wait_for(lambda: [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']], 'dm-log')[0]
    look = ('import os, sys\nfor name in ("mem", "environ", "maps", "fd"):\n'
            '    try:\n        path = f"/proc/{sys.argv[1]}/{name}"\n'
            '        os.listdir(path) if name == "fd" else open(path, "rb").close()\n        print(name, "open")\n'
            '    except PermissionError:\n        print(name, "closed")\n')
    for user, pid, said in (('david', daemon, 'open'), ('david', logger, 'closed'), ('_daemon-manager', w.worker(), 'closed')):
        answer = w.run(user, '/usr/bin/python3', '-c', look, str(pid)).exits(0)
        assert answer.out.split()[1::2] == [said] * 4, (user, repr(answer))


def unit_without_hardening(w):
    """The systemd unit says how to run the manager and confines nothing: all of it would be every daemon's for life. Claim:
    nothing-inherited."""
    with open('/usr/lib/systemd/system/daemon-manager.service') as unit:
        service = unit.read().split('[Service]')[1].split('[Install]')[0]
    keys = set(re.findall(r'^(\w+)=', service, re.M))
    assert 'ExecStart' in keys and keys <= UNIT_KEYS, keys - UNIT_KEYS
    # A restart leaves the daemons, each has a cgroup, and none is short of processes or descriptors.
    values = dict(re.findall(r'^(\w+)=(.*)$', service, re.M))
    for key, value in {'Type': 'notify', 'KillMode': 'process', 'RestartKillSignal': 'SIGUSR1', 'Delegate': 'yes', 'TasksMax': 'infinity'}.items():
        assert values[key] == value, (key, values[key])
    soft, hard = (int(number) for number in values['LimitNOFILE'].split(':'))
    assert soft >= 65536 and hard >= 524288, values
    # An end takes as long as the master config lets daemons take, and some seconds.
    with open(os.path.join(os.path.dirname(__file__), '../../src/worker/policy/config.hh')) as source:
        default = int(re.search(r"shutdown_timeout_ms = ([\d']+);", source.read()).group(1).replace("'", '')) / 1000
    assert default + 10 <= int(re.fullmatch(r'(\d+)s', values['TimeoutStopSec']).group(1)), (default, values)


def daemons_inherit_no_confinement(w):
    """A daemon inherits no confinement of the manager's: no filter, no no_new_privs, no smaller bounding set, none of its limits,
    and it can be traced by its user. Claim: nothing-inherited."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    mine, its = w.status_of(os.getpid()), w.status_of(pid)
    assert (its['NoNewPrivs'], its['Seccomp'], its['CapBnd']) == ('0', '0', mine['CapBnd']), its
    for name in ('SigBlk', 'SigIgn', 'CapInh', 'CapAmb', 'CapEff'):
        assert int(its[name], 16) == 0, (name, its[name])

    def limits(pid):
        with open(f'/proc/{pid}/limits') as lines:
            return lines.read()

    assert limits(pid) == limits(os.getpid())
    assert limits(pid) != limits(w.worker()), 'the limits of the worker are not even different'
    for name in ('oom_score_adj', 'timerslack_ns', 'coredump_filter', 'personality'):
        with open(f'/proc/{pid}/{name}') as value, open(f'/proc/{os.getpid()}/{name}') as wanted:
            assert value.read() == wanted.read(), name
    w.run('david', 'cat', f'/proc/{pid}/maps').exits(0)
