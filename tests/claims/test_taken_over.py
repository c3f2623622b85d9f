"""A worker that was taken over: what the monitor does about it, and what it cannot do."""
import os
import re
import shutil
import signal
import subprocess
import time

import world

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORKER = world.HELPERS + '/dm-worker'
MARK = b'@@order of the hostile worker@@'


def _read(path):
    with open(path, 'rb') as source:
        return source.read()


# Read at once: inside of the world this folder may not be there.
SOURCES = {name: _read(f'{TOP}/src/{name}') for name in
           ('lib/message.hh', 'lib/helper.hh', 'lib/policy.hh', 'lib/policy.cc')}
SOURCES['hostile_worker.cc'] = _read(HERE + '/hostile_worker.cc')
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
[settings]
shutdown_timeout=2s
"""
KINDS = {'Ready': 0, 'Scan': 1, 'Listen': 2, 'Slot': 3, 'Free': 4, 'Remember': 5, 'Start': 6, 'Signal': 7, 'Done': 8}
LENGTH, TIME, HANDLE = 'of the wrong length', 'a message out of its time', 'a handle that was not issued'
# What owners wrote. amy may not run as www-data, and david's site is www-data's alone.
WRITTEN = {'sleep 9001', 'sleep 9002', 'sleep 9003'}


def _confs(w):
    w.conf('david', 'site', 'dir=/\nuser=www-data\nstart=sleep 9001\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 9002\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 9003\n')
    w.conf('amy', 'thief', 'dir=/\nuser=www-data\nstart=touch /tmp/thief\n')


def _compile():
    for name, text in SOURCES.items():
        os.makedirs(os.path.dirname('/tmp/src/' + name), exist_ok=True)
        with open('/tmp/src/' + name, 'wb') as out:
            out.write(text)
    made = subprocess.run(['g++', '-std=c++20', '-O1', '-static', '-I/tmp/src', '-o', '/tmp/hostile',
                           '/tmp/src/hostile_worker.cc', '/tmp/src/lib/policy.cc'], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return _read('/tmp/hostile')


def _kill_workers(w):
    for pid in w.of_user('_daemon-manager'):
        os.kill(pid, signal.SIGKILL)


def _put(w, text):
    """Puts a program in the worker's place, root's and 0711 as installed. The same file: the monitor holds it open."""
    def written():
        _kill_workers(w)
        try:
            with open(WORKER, 'r+b') as out:
                out.write(text)
                out.truncate()
            return True
        except OSError:  # it is just being run
            return False
    world.wait_for(written, 'the worker program can be written')


def _hostile(w, order, deadline=20, config=CONFIG):
    """A fresh manager with a worker that follows `order`."""
    if not KEPT:
        KEPT['honest'], KEPT['hostile'] = _read(WORKER), _compile()
    if w.manager is not None:
        w.manager.kill()
        w.manager.wait()
        shutil.rmtree(world.RUN_DIR)
    if os.path.exists(w.log_file):
        os.unlink(w.log_file)
    text = (order.encode() + b'\0').ljust(len(MARK), b'\0')
    assert KEPT['hostile'].count(MARK) == 1
    _put(w, KEPT['hostile'].replace(MARK + b'\0' * 20, text + b'\0' * (len(MARK) + 20 - len(text))))
    w.start(config, ready=False)


def _only_what_was_written(w):
    users = {str(world.USERS[name][0]) for name in ('david', 'amy', 'bob', 'helpdesk', 'www-data')}
    for pid in w.pids():
        status = w.status_of(pid)
        if status.get('Uid', '').split('\t')[0] not in users or not w.alive(pid):
            continue
        command = ' '.join(w.command_of(pid))
        # Between fork and exec a child still looks like the manager.
        assert not command or command in WRITTEN or command.startswith(('dm-', world.MANAGER)), f'{pid}: {command}'
    assert not os.path.exists('/tmp/thief')


def _honest_again(w):
    """The real worker back in its place, under the same monitor: everything is served."""
    _put(w, KEPT['honest'])
    world.wait_for(lambda: w.dmctl('root', 'version').code == 0, lambda: f'the manager serves:\n{w.log()}', 40)
    assert w.manager.poll() is None
    w.up('david/web')
    w.up('david/site')
    w.up('amy/radio')
    w.dmctl('david', 'restart', 'web').exits(0)
    w.dmctl('david', 'stop', 'all').exits(0)
    w.dmctl('amy', 'status', 'thief').exits(3).says('amy may not run daemons as www-data')
    _only_what_was_written(w)


def _each(w, attacks):
    """Each attack ends its worker, for its reason; the monitor lives, and serves when the real worker is back."""
    try:
        _confs(w)
        for order, reason in attacks:
            _hostile(w, order)
            world.wait_for(lambda: re.search(f'(?m)(the worker is replaced: .*|the worker ){reason}', w.log()),
                           lambda: f'{order}: {reason} in the log:\n{w.log()}')
            assert 'hostile: no such' not in w.log(), w.log()
            assert w.manager.poll() is None, order
            _only_what_was_written(w)
        _honest_again(w)
    finally:
        _restore()


def _restore():
    if KEPT:
        os.unlink(WORKER)
        with open(WORKER, 'wb') as out:
            out.write(KEPT['honest'])
        os.chmod(WORKER, 0o711)


def before_it_is_ready(w):
    """A worker that asks for anything before it is ready is replaced, and so is one that is ready twice."""
    _each(w, [(f'early {number}', TIME) for kind, number in KINDS.items() if kind != 'Ready'] + [('again', TIME)])


def kinds_that_do_not_exist(w):
    """A worker that sends a kind that does not exist is replaced."""
    _each(w, [(f'kind {number}', 'a message of no known kind') for number in (len(KINDS), 20, 0x10000, 0x80000000, 0xffffffff)])


def wrong_lengths(w):
    """A message of any kind that is a byte too short or too long, empty or of 64 KiB, ends the worker."""
    by_one = [(f'length {number} {more}', LENGTH) for number in KINDS.values() for more in (-1, 1)]
    whole = [('bytes 0', 'was killed by signal 9'), ('bytes 1', 'without a kind'), ('bytes 3', 'without a kind'),
             ('bytes 4', LENGTH), ('bytes 513', LENGTH), ('bytes 514', 'too long'), ('bytes 65536', 'too long')]
    _each(w, by_one + whole)


def descriptors(w):
    """A worker that attaches descriptors to any kind of message is replaced, and the monitor keeps none of them."""
    _each(w, [(f'attach {number} 1', 'it sent descriptors') for number in KINDS.values()] + [('attach 1 250', 'it sent descriptors')])
    assert len(os.listdir(f'/proc/{w.manager.pid}/fd')) < 60


def forged_handles(w):
    """A handle that was not issued, or was given back, or names another generation, ends the worker."""
    forged = []
    for kind in ('Free', 'Remember', 'Start', 'Signal'):
        forged += [(f'field {kind}.slot {slot}', HANDLE) for slot in (1, 16383, 16384, 0xffffffff)]
        forged += [(f'field {kind}.generation {generation}', HANDLE) for generation in (0, 2, 0xffffffff)]
        forged += [(f'stale {KINDS[kind]} never', HANDLE), (f'stale {KINDS[kind]} again', HANDLE)]
    _each(w, forged)


def signals_that_do_not_exist(w):
    """Signals below 1 and above 64, and scopes that do not exist, end the worker."""
    _each(w, [(f'field Signal.signal {number}', 'a signal that does not exist') for number in (0, 65, -1, -15, 0x7fffffff)] +
             [('field Signal.scope 2', 'a scope that does not exist'), ('field Signal.scope -1', 'a scope that does not exist')])


def users_out_of_range(w):
    """Owners and targets that are not in the policy, or may run nothing, end the worker."""
    attacks = []
    for who in ('count', '16384', '0xffffffff', '0xfffffffe', 'helpdesk', 'www-data'):
        attacks += [(f'field Scan.owner {who}', 'scan for one who may run nothing'),
                    (f'field Slot.owner {who}', 'a place for one who may run nothing')]
    for who in ('count', '16384', '0xffffffff', '0xfffffffe'):
        attacks += [(f'field Listen.owner {who}', 'an owner that is not in the policy'),
                    (f'field Start.target {who}', 'a target that is not in the policy')]
    _each(w, attacks + [('field Listen.owner www-data', 'a socket for one who is not listed')])


def pairs_that_root_does_not_allow(w):
    """A worker that starts a daemon as somebody whom root does not allow is replaced, whatever the conf says."""
    pair = 'a pair that root does not allow'
    _each(w, [('field Start.target amy', pair), ('field Start.target root', pair), ('field Start.target helpdesk', pair),
              ('field Start.target www-data amy', pair), ('field Start.target david amy', pair),
              ('field Start.target root amy', pair), ('start amy 1 www-data', pair)])


def fields_that_must_be_zero(w):
    """Reserved fields that are not zero, flags that do not exist and cookies of nothing end the worker."""
    zero = 'a reserved field that is not zero'
    names = ('Ready.zero', 'Scan.zero', 'Slot.zero', 'Free.zero', 'Remember.zero', 'Signal.zero', 'Done.zero')
    _each(w, [(f'field {name} 1', zero) for name in names] +
             [('field Scan.create 2', zero), ('field Slot.cookie 0', zero), ('field Start.flags 2', 'flags that do not exist'),
              ('field Start.flags 0x80000000', 'flags that do not exist')])


def out_of_turn(w):
    """A worker that says it has stopped everything while nobody asked, or asks for two places at once, is replaced."""
    _each(w, [(f'early {KINDS["Done"]}', TIME), ('field Done.zero 0', 'done with a shutdown that nobody asked for'),
              ('twice bob', 'a second place asked for before the first answer')])


def other_target_than_written(w):
    """dm-run does not start an entry as anybody but whom its conf names, though root allows the pair."""
    try:
        _confs(w)
        for order, said in (('start david 1 www-data', 'failed at stage 5'), ('start david 0 david', 'failed at stage 5')):
            _hostile(w, order)
            w.wait_log('hostile: ' + said)
            assert 'hostile: runs' not in w.log()
            _only_what_was_written(w)
            assert not w.find('sleep 900')
        _hostile(w, 'start david 0 www-data')  # what david wrote and root allowed, it may start
        w.wait_log('hostile: runs')
        _only_what_was_written(w)
    finally:
        _restore()


def books_and_entries(w):
    """Entries beyond the book, and books that there never were, start nothing."""
    try:
        _confs(w)
        for entry in (2, 16384, 0x7fffffff, 0xffffffff):
            _hostile(w, f'start david {entry} david')
            w.wait_log('hostile: failed at stage 4')
            assert not w.find('sleep 900')
        _hostile(w, 'old david')
        w.wait_log('hostile: refused 2')
        assert not w.find('sleep 900')
        assert w.manager.poll() is None
    finally:
        _restore()


def starts_a_second(w):
    """The monitor itself keeps an owner's starts per second: a worker cannot start more."""
    try:
        _confs(w)
        _hostile(w, 'churn amy 4')
        w.wait_log('hostile: started so often:')
        often = int(re.search(r'so often: (\d+)', w.log()).group(1))
        assert 1 <= often <= 3 + 1 + 5, often  # daemons + starts at once, then one a second
    finally:
        _restore()


def floods(w):
    """A worker that floods the monitor with sound messages keeps it neither from its children nor from its end."""
    try:
        _confs(w)
        for kind in ('Remember', 'Signal', 'Scan'):
            _hostile(w, f'flood {KINDS[kind]} read')
            w.wait_log('hostile: floods')
            time.sleep(0.5)
            begin = time.monotonic()
            assert w.stop() == 0
            assert time.monotonic() - begin < 10
            shutil.rmtree(world.RUN_DIR)
        _hostile(w, f'flood {KINDS["Remember"]} read')
        w.wait_log('hostile: floods')
        _honest_again(w)
    finally:
        _restore()


def deaf(w):
    """A worker that takes no message for five seconds is replaced; the monitor never waits for it."""
    _each(w, [(f'flood {KINDS["Listen"]} deaf', 'it took no message for 5 s')])


def leaves(w):
    """A worker that closes its socket or exits at once is replaced, ever more slowly; the monitor says how it died."""
    _each(w, [('close', 'was killed by signal 9'), ('end 0', 'exited with 0'), ('end 3', 'exited with 3')])
    try:
        _hostile(w, 'end 3')
        time.sleep(3)
        deaths = w.log().count('the worker exited with 3')
        assert 2 <= deaths <= 6, w.log()
        w.wait_log('the next worker starts in')
    finally:
        _restore()


def never_ready(w):
    """A worker that is not ready after ten seconds is replaced."""
    _each(w, [('idle', 'it was not ready after 10 s')])


def born_with_nothing(w):
    """The worker is born with one powerless identity, an empty root, six descriptors and a policy that it cannot write."""
    try:
        _hostile(w, 'look')
        w.wait_log('hostile: wrote the policy')
        said = dict(line[len('hostile: '):].rsplit(' ', 1) for line in w.log().splitlines() if line.startswith('hostile: '))
        assert said == {'one uid': '990', 'one gid': '990', 'groups': '0', 'no new privileges': '1', 'ambient capabilities': '0',
                        'became root': '0', 'signalled the monitor': '0', 'reached outside': '0', 'entries in its root': '2',
                        'descriptors': '6', 'wrote the policy': '0'}, said
        worker = w.of_user('_daemon-manager')
        assert len(worker) == 1
        status = w.status_of(worker[0])
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(status[name], 16) == 0, (name, status[name])
        assert os.listdir(f'/proc/{worker[0]}/root') == []
    finally:
        _restore()


def forged_memories(w):
    """What a hostile worker leaves in the memories of daemons does not harm its successor: everything is served."""
    try:
        for seed in (1, 2, 3):
            _confs(w)
            _hostile(w, f'forge {seed}')
            w.wait_log('hostile: forged')
            _honest_again(w)
            assert not re.search(r'the worker was killed by signal (6|8|11|31)\b', w.log()), w.log()
    finally:
        _restore()


def a_thousand_exits(w):
    """A thousand daemons that end at once, and a worker that reads nothing, keep the monitor from nothing."""
    many = 1000
    for number in range(many):
        w.conf('david', f'd{number}', 'dir=/\nstart=sleep 9999\n')
    w.start('[runs_as]\ndavid\namy\n[limits]\n*: daemons=2000, starts=2000, book=4M\n', ready=False)
    world.wait_for(lambda: len(w.find('sleep 9999')) == many, 'all run', 60)
    worker = w.worker()
    os.kill(worker, signal.SIGSTOP)
    for pid in w.find('sleep 9999'):
        os.kill(pid, signal.SIGKILL)

    def children():
        with open(f'/proc/{w.manager.pid}/task/{w.manager.pid}/children') as pids:
            return len(pids.read().split())

    world.wait_for(lambda: children() < 10, 'the monitor has reaped them all', 10)
    w.wait_log('it took no message for 5 s')
    world.wait_for(lambda: len(w.find('sleep 9999')) == many, 'all run again', 60)
    rows = w.rows('david')
    assert len(rows) == many
    assert {row.state for row in rows.values()} == {'running'}
