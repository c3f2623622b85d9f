"""Users against the command sockets: bytes that are no request, clients that stall or vanish, floods of both."""
import contextlib
import os
import random
import socket
import statistics
import time

import client
import world
from alone import alone
from sanitized import not_sanitized

CONFIG = '[runs_as]\ndavid: www-data\namy\nbob\n[manages]\nhelpdesk: david\n'
MANY = ['x%x' % number for number in range(8000)]  # about as many as a request has room for
OTHERS = ['david/' + name for name in MANY[:5000]]
CONNECTIONS = 16                                   # of a listed user, by default
SERVED = 0.1                                       # seconds


def _both(w):
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start(CONFIG)
    return w.up('david/web'), w.up('amy/radio'), w.worker()


def _unharmed(w, before):
    """All runs as it did, under the same worker, and everybody is served."""
    web, radio, worker = before
    assert w.worker() == worker, w.log()
    assert (w.up('david/web'), w.up('amy/radio')) == (web, radio)
    for user in ('david', 'amy'):
        w.dmctl(user, 'status').exits(0)


def _ticks(pid):
    """What a process has used of the processor, in hundredths of a second."""
    with open(f'/proc/{pid}/stat') as line:
        fields = line.read().rpartition(')')[2].split()
    return int(fields[11]) + int(fields[12])


def _descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def _spoiled(seed):
    """What a fuzzer would send: noise, or a request with some of its bytes changed, cut off or doubled."""
    chance = random.Random(seed)
    if seed % 3 == 0:
        return chance.randbytes(chance.choice((1, 7, 8, 9, 100, 5000, client.MOST + 8)))
    data = bytearray(client.request('status', 'web', 'amy/radio', flags='no-wait', user='david'))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        data[at] = chance.randrange(256)
    return bytes(data[:chance.randint(1, len(data))] if seed % 3 == 1 else data * chance.randint(1, 3))


def random_bytes(w):
    """Random bytes, and requests with random bytes in them, from owners and strangers, end one connection each and nothing
    else. Claim: malformed-requests."""
    before = _both(w)
    home = client.home_socket(w, 'david')
    answers = 0
    for seed in range(600):
        user, path = (('david', home), ('amy', client.SHARED), ('eve', client.SHARED))[seed // 3 % 3]
        with client.connect(user, path) as sock:
            client.send(sock, _spoiled(seed))
            with contextlib.suppress(OSError):  # it may have hung up already
                sock.shutdown(socket.SHUT_WR)
            answers += client.read(sock) != b''
    assert answers > 100, 'the manager did not even look at what it was sent'
    _unharmed(w, before)


def sizes_and_fields(w):
    """Requests that are too long, of another kind, without an end of their last field, or with too many fields are refused.
    Claim: malformed-requests."""
    before = _both(w)
    fields = b'status\0\0\0'
    for data in (client.frame(b'', size=client.MOST + 1), client.frame(b'', size=0xffffffff), client.frame(fields, kind=1),
                 client.frame(fields, kind=0), client.frame(b'status\0\0\0web'), client.frame(b''), client.frame(b'status\0'),
                 client.frame(b'\0' * 8193), client.frame(b'\0' * client.MOST), client.frame(b'frobnicate\0\0\0')):
        answer = client.ask('amy', data)
        assert [kind for kind, _ in answer] == [client.OUTCOME, client.END] and answer[-1][1] == ['2'], (data[:40], answer)
    _unharmed(w, before)


def odd_ids(w):
    """Ids with slashes, dots, NULs of their own, or as long as a request, name nobody's daemon but the one that they name.
    Claims: malformed-requests, others-daemons."""
    before = _both(w)
    w.dmctl('david', 'stop', 'web').exits(0)
    for odd in ('../david/web', 'david/../david/web', '/david/web', 'david//web', 'david/web/', './web', 'amy/../david/web',
                'david/web\0amy/radio', '0/web', '1000/web', '', '/', 'a' * 60000, '*', 'david/*', '%s%n', 'all/web'):
        answer = client.ask('amy', client.request('start', odd))
        assert answer[-1][1][0] in ('0', '2', '4', '5'), (odd, answer)  # 2: what cannot be an id at all
        said = [fields[1] for kind, fields in answer if kind == client.OUTCOME and fields[0] == '0']
        assert said in ([], ['amy/radio']), answer
    assert not w.find('sleep 1001')
    w.dmctl('david', 'start', 'web').exits(0)
    _unharmed(w, (w.up('david/web'), *before[1:]))


def half_requests(w):
    """Clients that never finish their request hold up nobody but their own user, and are closed at their deadline, though one
    sends a byte now and then. Claim: clients-limited."""
    before = _both(w)
    whole = client.request('status')
    stuck = []
    for number in range(CONNECTIONS):
        one = client.connect('amy')
        client.send(one, whole[:number])
        stuck.append(one)
    assert client.ask('amy', whole)[0][1][0] == '1'  # there are no more for her
    client.ask('david', whole, client.home_socket(w, 'david'))
    slow = stuck[0]
    client.send(slow, client.frame(b'', size=client.MOST))
    open_ones = set(stuck)

    def closed():
        with contextlib.suppress(OSError):
            slow.send(b'\0')
        for one in list(open_ones):
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                with contextlib.suppress(ConnectionError):
                    assert one.recv(100) == b''
                open_ones.discard(one)
        client.ask('david', whole)
        return not open_ones

    world.wait_for(closed, lambda: f'{len(open_ones)} of them are closed')
    _unharmed(w, before)


def strangers_connections(w):
    """One who is not listed has two connections; what he holds takes none from others. Claim: clients-limited."""
    before = _both(w)
    held = [client.connect('eve') for _ in range(2)]
    answer = client.ask('eve', client.request('version'))
    assert answer[0][1][0] == '1' and 'connections' in answer[0][1][2], answer
    _unharmed(w, before)
    for one in held:
        one.close()
    world.wait_for(lambda: client.ask('eve', client.request('version'))[-1][1] == ['0'], 'his place is free again')


def answers_that_nobody_reads(w):
    """Clients that ask for all they can and read nothing cost bounded memory and hold up nobody; one that reads late gets all
    of its answer. Claim: clients-limited."""
    before = _both(w)
    memory = int(w.status_of(before[2])['RssAnon'].split()[0])
    held = []
    for _ in range(CONNECTIONS):
        held.append(client.connect('amy'))
        client.send(held[-1], client.request('status', *MANY))
    for user in ('david', 'bob'):
        client.ask(user, client.request('status'))
    grown = int(w.status_of(before[2])['RssAnon'].split()[0]) - memory
    assert 1000 < grown < 64 * 1024, f'{grown} KiB'
    answer = client.frames(client.read(held[0]))
    assert len(answer) == len(MANY) + 1 and answer[-1] == (client.END, ['5']), answer[-2:]
    for one in held:
        one.close()
    world.wait_for(lambda: client.ask('amy', client.request('version'))[-1][1] == ['0'], 'her places are free again')
    _unharmed(w, before)


def gone_before_the_answer(w):
    """Clients that close before they read their answer, at any moment of it, leave nothing behind. Claim: clients-gone."""
    before = _both(w)
    base = _descriptors(before[2])
    large = client.request('status', *MANY)
    for number in range(400):
        one = client.connect('amy')
        client.send(one, (large, client.request('restart', 'radio', flags='no-wait'), large[:30000], b'')[number % 4])
        if number % 8 == 0:
            one.recv(100)  # the rest is on its way
        one.close()
    world.wait_for(lambda: _descriptors(before[2]) <= base, lambda: f'{_descriptors(before[2])} descriptors, {base} before')
    _unharmed(w, (before[0], w.up('amy/radio'), before[2]))


# Connects and asks without end, holds so many of its connections open, and tells how many there were.
FLOOD = '''import resource, socket, sys
path, held, data = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], 'rb').read()
resource.setrlimit(resource.RLIMIT_NOFILE, (held + 100, held + 100))
kept, made = [], 0
while True:
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    one.setblocking(False)
    try:
        one.send(data)
    except OSError:
        pass
    kept.append(one)
    made += 1
    if len(kept) > held:
        kept.pop(0).close()
'''


@contextlib.contextmanager
def _flood(w, path, held, data):
    world.write('/tmp/flood.py', FLOOD)
    with open('/tmp/flood.data', 'wb') as out:
        out.write(data)
    flood = w.background('amy', '/usr/bin/python3', '/tmp/flood.py', path, str(held), '/tmp/flood.data')
    try:
        world.wait_for(lambda: flood.poll() is not None or _descriptors(flood.pid) > held, f'{held} connections are made')
        yield flood
        assert flood.poll() is None, flood.stdout.read()
    finally:
        flood.kill()
        flood.wait()


def _served_in_time(user, path):
    """The median of many, and the best of some rounds of it: what else the machine does meanwhile is not the manager's fault."""
    rounds = []
    while len(rounds) < 4:
        times = []
        for _ in range(21):
            begin = time.monotonic()
            assert client.ask(user, client.request('status'), path)[-1][1] == ['0']
            times.append(time.monotonic() - begin)
        rounds.append(statistics.median(times))
        if rounds[-1] < SERVED:
            return
    raise AssertionError(f'{user} at {path}: {rounds}')


@alone
@not_sanitized('its speed is another')
def five_thousand_connections(w):
    """While one user holds 5,000 connections and goes on to connect, others are served within 100 ms, at their own socket and at
    the one for all. Claim: served-beside-a-flood."""
    before = _both(w)
    home = client.home_socket(w, 'david')
    with _flood(w, client.SHARED, 5000, b''):
        _served_in_time('david', home)
        _served_in_time('bob', client.SHARED)
    _unharmed(w, before)


@alone
@not_sanitized('its speed is another')
def heaviest_requests(w):
    """While one user sends the heaviest requests as fast as he can, each of which he does not even wait for, others are served
    within 100 ms. Claim: served-beside-a-flood."""
    for number in range(99):
        w.conf('amy', f'{number}', 'dir=/\nautostart=no\nstart=sleep 1003\n')
    before = _both(w)
    home = client.home_socket(w, 'david')
    assert len(client.ask('amy', client.request('status', 'all'))) == 101
    patterns = ['*1' * 20 + f'{number}a' for number in range(1000)]
    for ids in (MANY, OTHERS, ['all'] * 8000, patterns, ['*' * length for length in range(1, 350)]):
        with _flood(w, client.SHARED, CONNECTIONS - 2, client.request('status', *ids)):
            ticks = _ticks(before[2])
            world.wait_for(lambda: _ticks(before[2]) > ticks + 20, 'the worker is busy with it')
            _served_in_time('david', home)
            _served_in_time('bob', client.SHARED)
    world.wait_for(lambda: client.ask('amy', client.request('version'))[-1][1] == ['0'], 'the flood is over')
    _unharmed(w, before)


def refused_by_the_thousand(w):
    """Of a request whose thousands of ids are refused only the first go to the log, and that there were more. Claim: audit-log."""
    before = _both(w)
    answer = client.ask('amy', client.request('stop', *OTHERS))
    assert len(answer) == len(OTHERS) + 1 and {fields[0] for _, fields in answer} == {'4'}
    lines = [line for line in w.log().splitlines() if 'not permitted' in line]
    assert len(lines) < 20 and f'stop {OTHERS[0]}: not permitted' in lines[0] and 'and more' in lines[-1], lines
    _unharmed(w, before)
