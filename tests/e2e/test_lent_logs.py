"""Logs of others: who manages a user reads his logs, though he may not enter the home; and logs that are opened anew by order."""
import os
import re
import signal

import world

CONFIG = '[runs_as]\ndavid\namy\n[manages]\nhelpdesk: david\n'
LOGS = '/home/david/.daemon-manager/logs'


def _start(w, more='', name='web'):
    """A daemon that prints what is written to /tmp/lines."""
    if not os.path.exists('/tmp/lines'):
        os.mkfifo('/tmp/lines')
        os.chmod('/tmp/lines', 0o644)
    w.script('/srv/chatty', '#!/usr/bin/python3\nimport os\nprint("begins", flush=True)\nwith open("/tmp/lines") as f:\n'
             '    for line in f: print(line, end="", flush=True)\n')
    w.conf('david', name, f'dir=/\nstart=/srv/chatty\noutput=log\n{more}')
    w.start(CONFIG)
    w.up(f'david/{name}')
    return os.open('/tmp/lines', os.O_WRONLY)


def _say(lines, *texts):
    os.write(lines, ''.join(text + '\n' for text in texts).encode())


def _shows(w, user, *arguments):
    return w.dmctl(user, 'log', *arguments).exits(0).out


def manager_reads(w):
    """Who manages a user reads the log of his daemon: the whole, its end, by time and by pattern; others do not."""
    lines = _start(w)
    _say(lines, 'first', 'second', 'third')
    world.wait_for(lambda: 'third' in _shows(w, 'david', 'web'), 'the daemon wrote')
    assert os.stat('/home/david').st_mode & 0o77 == 0 or os.stat('/home/david/.daemon-manager').st_mode & 0o77 == 0
    own = _shows(w, 'david', 'web')
    assert _shows(w, 'helpdesk', 'david/web') == own and _shows(w, 'helpdesk', 'web') == own
    assert _shows(w, 'helpdesk', 'david/web', '-n', '2') == ''.join(own.splitlines(True)[-2:])
    assert [line.split()[-1] for line in _shows(w, 'helpdesk', 'web', '--grep', 'second').splitlines()] == ['second']
    assert 'third' in _shows(w, 'helpdesk', 'web', '--since', '10m')
    w.dmctl('amy', 'log', 'david/web').exits(4)
    w.dmctl('eve', 'log', 'david/web').exits(4)
    assert re.search(r'helpdesk \(uid \d+\): log david/web: allowed', w.log())
    os.close(lines)


def manager_reads_old_logs(w):
    """He reads on into logs that were rotated away, compressed or not, as the owner does."""
    lines = _start(w, 'log_size=4K\nlog_keep=100\nlog_compress=yes\n')
    for i in range(60):
        _say(lines, *(f'line {n} {"x" * 60}' for n in range(i * 10, i * 10 + 10)))
    world.wait_for(lambda: 'line 599 ' in _shows(w, 'david', 'web', '-n', '3'), 'all is written')
    world.wait_for(lambda: all(re.fullmatch(r'web\.log(\.\d+\.gz)?', name) for name in os.listdir(LOGS)), 'all are compressed')
    seen = [int(n) for n in re.findall(r'line (\d+) ', _shows(w, 'helpdesk', 'david/web', '-n', '100000'))]
    assert seen == list(range(600)), seen[:20]
    os.close(lines)


def manager_follows(w):
    """He follows a log over rotations, a restart of the daemon, and though dm-log, the worker and the monitor are killed: each line once."""
    w.script('/srv/count', '#!/usr/bin/python3\nimport os, time\nn = 0\nwhile not os.path.exists("/tmp/enough"):\n    n += 1\n'
             '    print("line", n, "x" * 60, flush=True)\n    time.sleep(0.005)\nprint("the last was", n, flush=True)\ntime.sleep(1004)\n')
    w.conf('david', 'web', 'dir=/\nstart=/srv/count\noutput=log\nlog_size=16K\nlog_keep=1000\n')
    w.start(CONFIG)
    w.up('david/web')
    follow = w.background('helpdesk', world.DMCTL, 'log', 'david/web', '-n', '100000000', '-f')
    for kill in ('dm-log', 'worker', 'monitor'):
        before = len(os.listdir(LOGS)) if os.path.isdir(LOGS) else 0
        world.wait_for(lambda: os.path.isdir(LOGS) and len(os.listdir(LOGS)) > before + 1, 'it is rotated')
        if kill == 'dm-log':
            w.kill_loggers()
        elif kill == 'worker':
            os.kill(w.worker(), signal.SIGKILL)
        else:
            w.manager.kill()
            w.manager.wait()
            w.start()
    world.write('/tmp/enough', '')
    seen = b''
    while b'the last was' not in seen:
        block = os.read(follow.stdout.fileno(), 65536)
        assert block, seen[-500:]
        seen += block
    follow.kill()
    follow.wait()
    numbers = [int(n) for n in re.findall(rb'line (\d+) ', seen)]
    assert numbers == list(range(1, numbers[-1] + 1)), [pair for pair in zip(numbers, numbers[1:]) if pair[1] != pair[0] + 1][:5]


def of_one_that_stopped(w):
    """The log of a daemon that does not run any more is read, and that of one that never ran is said not to be there."""
    lines = _start(w)
    os.close(lines)
    w.conf('david', 'never', 'dir=/\nstart=/bin/true\noutput=log\nautostart=no\n')
    w.rescan('david')
    w.dmctl('david', 'stop', 'web').exits(0)
    assert 'begins' in _shows(w, 'helpdesk', 'david/web')
    w.dmctl('david', 'log', 'web').exits(0)
    w.dmctl('helpdesk', 'log', 'david/never').exits(1).says('david/never', 'no log yet')


def several_readers(w):
    """Eight who follow one log at once are all served."""
    lines = _start(w)
    followers = [w.background('helpdesk', world.DMCTL, 'log', 'david/web', '-f') for _ in range(8)]
    for it in followers:
        assert b'begins' in os.read(it.stdout.fileno(), 65536)
    _say(lines, 'to all')
    for it in followers:
        seen = b''
        while b'to all' not in seen:
            seen += os.read(it.stdout.fileno(), 65536)
        it.kill()
        it.wait()
    os.close(lines)


def reopened(w):
    """`dmctl reopen`, for one who has moved a log away: what is written next is in a new file, at once and not only within a second."""
    lines = _start(w)
    _say(lines, 'before')
    world.wait_for(lambda: 'before' in _shows(w, 'david', 'web'), 'it is written')
    os.rename(f'{LOGS}/web.log', f'{LOGS}/elsewhere')
    w.dmctl('david', 'reopen', 'web').exits(0).says('david/web', 'asked to open its log anew')
    world.wait_for(lambda: os.path.exists(f'{LOGS}/web.log'), 'there is a new log')
    _say(lines, 'after')
    world.wait_for(lambda: 'after' in _shows(w, 'david', 'web'), 'it is written to the new one')
    with open(f'{LOGS}/elsewhere') as old:
        assert 'after' not in old.read()
    w.dmctl('helpdesk', 'reopen', 'david/web').exits(0)
    w.dmctl('amy', 'reopen', 'david/web').exits(4)
    w.conf('david', 'mute', 'dir=/\nstart=sleep 1005\n')
    w.rescan('david')
    w.up('david/mute')
    w.dmctl('david', 'reopen', 'mute').exits(1).says('it has no log')
    said = w.dmctl('david', 'reopen', 'all').exits(0).says('david/web')
    assert 'mute' not in said.text, said
    w.conf('david', 'sys', 'dir=/\noutput=syslog\nstart=sleep 1006\n')
    w.rescan('david')
    w.dmctl('david', 'reopen', 'sys').exits(0).says('nothing to open anew')
    w.dmctl('david', 'stop', 'web').exits(0)
    w.dmctl('david', 'reopen', 'web').exits(3).says('stopped')
    # Who means all, or what a pattern matches, means those of them that write to one now.
    w.conf('david', 'other', 'dir=/\noutput=log\nstart=sleep 1007\n')
    w.rescan('david')
    w.up('david/other')
    for words in (('all',), ('*',), ('*', 'other')):
        said = w.dmctl('david', 'reopen', *words).exits(0).says('david/other')
        assert len(said.text.splitlines()) == 1, said
    w.dmctl('david', 'reopen', 'all', 'web').exits(3).says('david/web: stopped', 'david/other')
    w.dmctl('david', 'reopen', 's*').exits(0)
    os.close(lines)
