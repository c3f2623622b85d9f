"""Whom a daemon may become: nobody whom root did not allow, nobody by number, and never a way back."""
import json
import os
import signal

import attack
import world
from alone import alone
from sanitized import not_sanitized


def user_not_permitted(w):
    """A user= that root has not allowed is refused, with the line root would have to write. Claim: runs-as-allowed."""
    w.conf('david', 'bad', 'dir=/\nuser=amy\nstart=sleep 1001\n')
    w.refuses('amy', 'runs_as')
    assert not w.find('sleep 1001')


def user_root_not_permitted(w):
    """user=root is refused for everybody but root. Claim: runs-as-allowed."""
    w.conf('david', 'bad', 'dir=/\nuser=root\nstart=sleep 1001\n')
    w.refuses('root')
    assert not w.find('sleep 1001')


def unknown_user(w):
    """user= with a name that nobody has is refused. Claim: runs-as-allowed."""
    w.conf('david', 'bad', 'dir=/\nuser=nosuchuser\nstart=sleep 1001\n')
    w.refuses('nosuchuser')


def user_by_number(w):
    """user= never takes a number, not even one's own. Claim: users-by-name."""
    w.conf('david', 'bad', 'dir=/\nuser=1000\nstart=sleep 1001\n')
    w.refuses(':2:', '1000')
    assert not w.find('sleep 1001')


ODD = ('0', '-1', '4294967295', '4294967296', '', '0day', '+0', '00', '0x0', ' 0', 'root\\n', '#0', '1000', 'root ', '-', 'r\u043eot')


def odd_users(w):
    """user= with 0, -1, 4294967295, nothing, 0day and their like is refused, each for a reason that names it; none runs as anybody.
    Claims: users-by-name, runs-as-allowed."""
    w.conf('david', 'good', 'dir=/\nstart=sleep 1999\n')
    names = {f'odd{number}': value for number, value in enumerate(ODD)}
    for name, value in names.items():
        w.conf('david', name, f'dir=/\nuser={value}\nstart=touch /tmp/ran-{name}\n')
    w.start()
    w.up('david/good')
    for name in names:
        answer = w.dmctl('david', 'start', name)
        assert answer.code == 1 and ('user' in answer.text or 'runs_as' in answer.text), (names[name], answer)
    assert not [name for name in os.listdir('/tmp') if name.startswith('ran-')]


def users_with_odd_numbers(w):
    """Users to whom the name service gives uid or gid 4294967295, a second name of root, and a name that begins with a digit: the
    first are nobody, the second is never granted, and the last is himself. Claims: users-by-name, nobody-becomes-root."""
    with open('/etc/passwd', 'a') as passwd:
        passwd.write('minus:x:4294967295:1010::/:/bin/sh\nminusgid:x:1011:4294967295::/:/bin/sh\n0day:x:1012:1012::/:/bin/sh\n')
    names = ('minus', 'minusgid', '0day')
    for name in names:
        w.conf('david', name, f'dir=/\nuser={name}\nstart=/srv/run {name}\n')
    w.script('/srv/run', '#!/bin/sh\ntouch "/tmp/ran-$1"\nexec sleep 1001\n')
    w.start('[runs_as]\ndavid: minus, minusgid, 0day\n')
    pid = w.up('david/0day')
    assert w.status_of(pid)['Uid'].split() == ['1012'] * 4 and w.status_of(pid)['Gid'].split() == ['1012'] * 4
    for name in ('minus', 'minusgid'):
        w.dmctl('david', 'start', name).exits(1).says(name)
    world.wait_for(lambda: os.path.exists('/tmp/ran-0day'), '0day runs')
    assert [name for name in os.listdir('/tmp') if name.startswith('ran-')] == ['ran-0day']


def a_second_name_of_root(w):
    """Nobody gets root under another of its names, named or through a group. Claim: nobody-becomes-root."""
    with open('/etc/passwd', 'a') as passwd:
        passwd.write('toor:x:0:0::/root:/bin/sh\n')
    with open('/etc/group', 'a') as group:
        group.write('wheel:x:2500:toor,amy\n')
    w.conf('david', 'toor', 'dir=/\nuser=toor\nstart=touch /tmp/ran-toor\n')
    w.conf('david', 'amy', 'dir=/\nuser=amy\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid: toor\n', ready=False)
    assert w.manager.wait(20) == 1 and "found 'toor', expected a user other than root" in w.log(), w.log()
    w.start('[runs_as]\ndavid: @wheel\n')
    w.up('david/amy')
    w.dmctl('david', 'start', 'toor').exits(1)
    assert not os.path.exists('/tmp/ran-toor')


def self_status(w):
    """A daemon's own /proc/self/status has its target's ids four times each, all its groups and no other, no capability but the
    uncut bounding set, and neither a filter nor no_new_privs of the manager's. Claim: daemon-identity."""
    with open('/etc/group', 'a') as group:
        group.write(''.join(f'many{gid}:x:{gid}:www-data\n' for gid in range(3000, 3100)))
    program = attack.program(w, 'status', 'import os, time\nopen("/tmp/part", "w").write(open("/proc/self/status").read())\n'
                                          'os.rename("/tmp/part", "/tmp/status")\ntime.sleep(1001)\n')
    w.conf('david', 'web', f'dir=/\nuser=www-data\nstart={program}\n')
    w.start()
    world.wait_for(lambda: os.path.exists('/tmp/status'), 'the daemon wrote its status')
    status = dict(line.split(':\t', 1) for line in attack.read('/tmp/status').splitlines() if ':\t' in line)
    assert status['Uid'].split() == status['Gid'].split() == ['33'] * 4
    assert sorted(map(int, status['Groups'].split())) == [33, 2000, *range(3000, 3100)]
    caps = {key: int(status['Cap' + key], 16) for key in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')}
    bounding = int(w.status_of(1)['CapBnd'], 16)
    assert caps == {'Inh': 0, 'Prm': 0, 'Eff': 0, 'Bnd': bounding, 'Amb': 0}, caps
    assert (status['NoNewPrivs'], status['Seccomp']) == ('0', '0')


# Every way to another identity that a process without privilege could try; prints those that it found open.
WAYS = """import ctypes, json, os, time
libc = ctypes.CDLL(None, use_errno=True)
ids = [0, 990, 1000, 1001]
ways = {f'{call} {i}': (lambda call=call, i=i: getattr(os, call)(i)) for call in ('setuid', 'seteuid', 'setgid', 'setegid') for i in ids}
ways |= {f'{call} {a} {b}': (lambda call=call, a=a, b=b: getattr(os, call)(a, b))
         for call in ('setreuid', 'setregid') for a, b in [(-1, 0), (0, -1), (0, 0), (1000, 1000)]}
ways |= {f'{call} {t}': (lambda call=call, t=t: getattr(os, call)(*t))
         for call in ('setresuid', 'setresgid') for t in [(0, 0, 0), (-1, -1, 0), (-1, 0, -1), (0, -1, -1), (1000, 1000, 1000)]}
ways |= {f'setgroups {g}': (lambda g=g: os.setgroups(g)) for g in ([], [0], [1000])}
ways |= {'chroot': lambda: os.chroot('/'), 'mem': lambda: open(f'/proc/{MANAGER}/mem'), 'kill': lambda: os.kill(MANAGER, 0),
         'environ': lambda: open(f'/proc/{MANAGER}/environ').read(), 'shadow': lambda: open('/etc/shadow')}
def syscall(number, *arguments):
    if libc.syscall(number, *arguments) != 0:
        raise OSError(ctypes.get_errno(), 'no')
class Header(ctypes.Structure):
    _fields_ = [('version', ctypes.c_uint32), ('pid', ctypes.c_int)]
full = (ctypes.c_uint32 * 6)(*[0xc0] * 6)
ways['capset'] = lambda: syscall(126, ctypes.byref(Header(0x20080522, 0)), full)
for cap in (6, 7, 21):
    ways[f'ambient {cap}'] = lambda cap=cap: syscall(157, 47, 2, cap, 0, 0)
for call in (122, 123):  # setfsuid, setfsgid: they say who one was before
    def fs(call=call):
        libc.syscall(call, 0)
        if libc.syscall(call, -1) != 0:
            raise PermissionError
    ways[f'fs {call}'] = fs
open_ones, tried = [], 0
for name, way in ways.items():
    tried += 1
    try:
        way()
        open_ones.append(name)
    except OSError:
        pass
now = os.getresuid() + os.getresgid()
with open('/tmp/part', 'w') as out:
    json.dump([tried, open_ones, now], out)
os.rename('/tmp/part', '/tmp/ways')
time.sleep(1001)
"""


def no_way_back(w):
    """A daemon finds no way to root, to its owner, to the worker's user or to another group, by any of the calls that change who one
    is. Claim: no-way-back."""
    w.conf('david', 'web', 'dir=/\nuser=www-data\nautostart=no\nstart=/srv/ways\n')
    w.start()
    w.script('/srv/ways', '#!/usr/bin/python3\n' + WAYS.replace('MANAGER', str(w.manager.pid)))
    w.dmctl('david', 'start', 'web').exits(0)
    world.wait_for(lambda: os.path.exists('/tmp/ways'), lambda: f'it has tried: {w.dmctl("david", "status")!r}')
    tried, found, now = json.loads(attack.read('/tmp/ways'))
    assert tried > 40 and now == [33] * 6 and found == [], (tried, found, now)


def helpers_are_one_user(w):
    """Each helper is one user for good when its program begins: real, effective, saved and file system ids, groups, and no
    capability. Claim: one-identity."""
    w.conf('david', 'web', 'dir=/\nuser=www-data\noutput=log\nstart=sleep 1001\n')
    david, www, worker = [1000, 2000, 2001], [33, 2000], [990]
    expected = {'dm-policy.990': worker, 'dm-scan.1000': david, 'dm-listen.1000': david, 'dm-log.1000': david, 'dm-run.33': www}
    with attack.instead('witness.c', *(name.partition('.')[0] for name in expected)):
        w.start('[runs_as]\ndavid: www-data\n')
        w.up('david/web')
        world.wait_for(lambda: attack.witnesses() >= {*expected}, lambda: f'all were seen: {attack.witnesses()}')
    assert attack.witnesses() == {*expected}, 'a helper ran as somebody else'
    for name, groups in expected.items():
        status = attack.witnessed(name)
        helper, _, uid = name.partition('.')
        assert status['Uid'].split() == status['Gid'].split() == [uid] * 4, (name, status)
        assert sorted(map(int, status['Groups'].split())) in (groups, [] if uid == '990' else groups), (name, status['Groups'])
        assert not any(int(status[key], 16) for key in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')), (name, status)


@not_sanitized('its helpers live longer, and count')
@alone
def process_limit(w):
    """With a target's limit of processes exhausted a start fails with a clean error, and nothing runs as root in its stead; with the
    owner's exhausted his confs cannot be read, and that is said. Both work again when there is room. Claim: process-limit."""
    w.conf('limited', 'web', 'dir=/\nuser=limited-site\nautostart=no\nstart=touch /tmp/ran\n')
    w.conf('limited-friend', 'radio', 'dir=/\nstart=sleep 1002\n')
    tight = w.script('/srv/tight', f'#!/bin/sh\nexec prlimit --nproc=20:20 {world.MANAGER}\n')
    real, world.MANAGER = world.MANAGER, tight
    try:
        w.start('[runs_as]\nlimited: limited-site\nlimited-friend\n')
    finally:
        world.MANAGER = real
    w.up('limited-friend/radio')
    for user, said in (('limited-site', 'limited-site has as many processes as he may have'), ('limited', 'could not be read')):
        many = w.background(user, 'sh', '-c', 'for i in $(seq 30); do sleep 777 & done; echo made; exec sleep 777')
        assert many.stdout.readline() == 'made\n'
        before = _roots(w)
        w.dmctl('limited', 'rescan' if user == 'limited' else 'start', *(['web'] if user != 'limited' else [])).exits(1).says(said)
        assert not os.path.exists('/tmp/ran') and _roots(w) <= before, (before, _roots(w))
        w.dmctl('limited-friend', 'restart', 'radio').exits(0)
        for pid in w.find('sleep 777'):
            os.kill(pid, signal.SIGKILL)
        many.wait()
    world.wait_for(lambda: w.dmctl('limited', 'rescan').code == 0, 'all that was killed is gone')
    w.dmctl('limited', 'start', 'web', '--no-wait')
    world.wait_for(lambda: os.path.exists('/tmp/ran'), 'it runs again')
    assert os.stat('/tmp/ran').st_uid == 1011


def _roots(w):
    """What runs as root beside this test and its own."""
    return {(pid, tuple(w.command_of(pid))) for pid in w.of_user('root')}
