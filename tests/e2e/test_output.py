"""What daemons print: stamped lines in the owner's log, through a FIFO that outlives its reader."""
import contextlib
import os
import re
import signal
import socket
import subprocess

import counting
import world

STAMP = r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}Z?'


def _log(w, name='web', user='david'):
    path = f'{w.home(user)}/.daemon-manager/logs/{name}.log'
    if not os.path.exists(path):
        return ''
    with open(path, errors='replace') as log:
        return log.read()


def _wait(w, *words, name='web'):
    world.wait_for(lambda: all(word in _log(w, name) for word in words), lambda: f'{words} in the log:\n{_log(w, name)}')


def stamped_lines(w):
    """stdout and stderr come to the log line by line, each with a stamp in UTC and milliseconds."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo one; echo two >&2; printf three; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    _wait(w, 'one', 'two')
    for word in ('one', 'two'):
        assert re.search(rf'^{STAMP} .*{word}$', _log(w), re.M), _log(w)


def start_and_exit_are_noted(w):
    """Start and exit of the daemon are noted between its lines, in their order."""
    w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=echo hello; sleep 0.2; echo bye; exit 7\n')
    w.start()
    w.wait_state('david/web', 'stopped')
    w.dmctl('david', 'start', 'web')
    _wait(w, 'bye', '7')
    w.dmctl('david', 'stop', 'web').exits(0)
    log = _log(w)
    places = [re.search(pattern, log) for pattern in (r'start', r'hello', r'bye', r'exit[^\n]*7')]
    assert all(places), log
    assert [place.start() for place in places] == sorted(place.start() for place in places), log


def killed_is_noted(w):
    """A daemon that was killed has its signal noted."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=exec sleep 1001\n')
    w.start()
    os.kill(w.up('david/web'), signal.SIGKILL)
    _wait(w, 'KILL')


def dev_stderr(w):
    """/dev/stderr and /dev/stdout can be opened anew by a daemon that runs as www-data."""
    w.conf('david', 'web', 'dir=/\nuser=www-data\noutput=log\nstart=echo to stderr > /dev/stderr; echo to stdout > /dev/stdout; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    _wait(w, 'to stderr', 'to stdout')


def discard(w):
    """Without output=log nothing is kept, and nothing is made."""
    w.conf('david', 'web', 'dir=/\nstart=echo hello; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    assert not os.path.exists('/home/david/.daemon-manager/logs/web.log')
    answer = w.dmctl('david', 'log', 'web')
    assert answer.code != 0 and 'output=log' in answer.text, repr(answer)


def dead_logger_loses_nothing(w):
    """dm-log killed with -9 again and again loses no line and doubles none."""
    w.script('/srv/count', '#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do i=$((i + 1)); echo "line $i."; done\nexec sleep 1001\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=/srv/count\n')
    w.start()
    w.up('david/web')
    for _ in range(10):
        w.kill_loggers()
        world.wait_for(lambda: [pid for pid in w.pids() if w.command_of(pid)[:1] == ['dm-log']], 'there is a dm-log again')
    _wait(w, 'line 3000.')
    assert counting.in_order(counting.numbers(_log(w))) == 3000


def _loggers(w):
    return [pid for pid in w.pids() if w.command_of(pid)[:1] == ['dm-log'] and w.alive(pid)]


def _kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def monitor_and_logger_killed_together(w):
    """The monitor and dm-log killed with -9 together, again and again: no line is lost, none doubled, and the daemon runs on."""
    pid = counting.start(w)
    for turn in range(8):
        _wait(w, 'line 100.')
        loggers = _loggers(w)
        if turn % 3 == 0:
            _kill(loggers)
        os.kill(w.manager.pid, signal.SIGKILL)
        if turn % 3 == 1:  # and once in three times dm-log ends by itself
            _kill(loggers)
        w.manager.wait()
        w.start()
        assert w.up('david/web') == pid
        size = len(_log(w))
        world.wait_for(lambda: len(_log(w)) > size, 'the log goes on')
    assert counting.end(lambda: _log(w)) > 2000


def left_by_a_dead_daemon(w):
    """What a daemon wrote before it ended comes to the log though dm-log and the monitor were killed before they had it all."""
    w.script('/srv/burst', '#!/usr/bin/python3\nimport os, time\nwhile not os.path.exists("/tmp/go"):\n    time.sleep(0.002)\n'
                           'for number in range(1, 5001):\n    os.write(1, b"line %d.\\n" % number)\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nautostart=no\nstart=exec /srv/burst\n')
    w.start()
    w.dmctl('david', 'start', 'web').exits(0)
    pid = w.up('david/web')
    _wait(w, f'started, pid {pid}')
    world.write('/tmp/go', '')
    for _ in range(3):
        _kill(world.wait_for(lambda: _loggers(w), 'there is a dm-log'))
    world.wait_for(lambda: not w.alive(pid) or _kill(_loggers(w)), 'the daemon ends')
    _kill(_loggers(w))
    world.wait_for(lambda: 'line 5000.' in _log(w), lambda: f'the last line: {_log(w)[-300:]}')
    assert counting.in_order(counting.numbers(_log(w))[:5000]) == 5000  # by then it has been started again, may be


def long_and_binary_lines(w):
    """Very long lines and bytes that are no text come through without harm."""
    w.script('/srv/odd', '#!/usr/bin/python3\nimport os, time\nos.write(1, b"x" * 300000 + b"\\n")\n'
                         'os.write(1, b"\\0\\x1b\\xff\\n")\nos.write(1, b"after\\n")\ntime.sleep(1001)\n')
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=/srv/odd\n')
    w.start()
    w.up('david/web')
    _wait(w, 'after')
    assert _log(w).count('x') >= 300000


def dmctl_log_and_tail(w):
    """dmctl log shows the log, tail its end, -n so many lines."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=for i in 1 2 3 4 5; do echo "line $i"; done; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    _wait(w, 'line 5')
    w.dmctl('david', 'log', 'web').exits(0).says('line 1', 'line 5')
    answer = w.dmctl('david', 'tail', 'web', '-n', '2').exits(0)
    assert 'line 5' in answer.out and 'line 3' not in answer.out, repr(answer)


def restart_appends(w):
    """A restart goes on in the same log."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo hello from $$; exec sleep 1001\n')
    w.start()
    first = w.up('david/web')
    _wait(w, f'hello from {first}')
    w.dmctl('david', 'restart', 'web').exits(0)
    _wait(w, f'hello from {w.up("david/web")}', f'hello from {first}')


def full_disk_of_the_owner(w):
    """An owner whose log cannot be made still has his daemon, and others have theirs."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo hello; exec sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\noutput=log\nstart=echo music; exec sleep 1002\n')
    w.script('/home/david/.daemon-manager/logs', 'not a folder\n', 'david', 0o600)
    os.chmod('/home/david/.daemon-manager', 0o700)
    w.start()
    w.up('david/web')
    w.up('amy/radio')
    world.wait_for(lambda: 'music' in _log(w, 'radio', 'amy'), "amy's log")


def _read(path):
    if not os.path.exists(path):
        return ''
    with open(path) as log:
        return log.read()


def into_a_file(w):
    """output=file:PATH has the lines in that file of the owner's, with %h, %n and %i in it, though the daemon runs as www-data; log and
    tail read it, also for root and for who manages him, and its old logs; logs/ is not made."""
    w.folder('/home/david/log', 'david', 0o700)
    w.conf('david', 'web', 'dir=/\nuser=www-data\ninstances=2\noutput=file:%h/log/%n-%i.log\nlog_size=4K\n'
                           'start=for i in 1 2 3 4 5; do echo "%i says $i"; done; exec sleep 1001\n')
    w.start()
    for number in ('1', '2'):
        w.up(f'david/web:{number}')
        path = f'/home/david/log/web-{number}.log'
        world.wait_for(lambda: f'{number} says 5' in _read(path), lambda: _read(path))
        info = os.stat(path)
        assert (info.st_uid, info.st_mode & 0o777) == (1000, 0o600), info
        for user in ('david', 'root', 'helpdesk'):
            shown = w.dmctl(user, 'log', f'david/web:{number}').exits(0).out
            assert f'{number} says 1\n' in shown and f'{number} says 5\n' in shown, shown
        assert w.dmctl('amy', 'log', f'david/web:{number}').code != 0
    assert not os.path.exists('/home/david/.daemon-manager/logs')
    # Old logs are beside it.
    w.script('/srv/more', '#!/bin/sh\nfor i in $(seq 1 200); do echo "line $i."; done\nexec sleep 1001\n')
    w.conf('david', 'web', 'dir=/\nstart=/srv/more\noutput=file:%h/log/more.log\nlog_size=4K\nlog_keep=50\n')
    w.dmctl('david', 'stop', 'web').exits(0)
    w.rescan('david')
    w.dmctl('david', 'start', 'web').exits(0)
    world.wait_for(lambda: counting.numbers(w.dmctl('david', 'log', 'web', '-n', '300').out) == list(range(1, 201)), 'all lines are shown')
    assert os.path.exists('/home/david/log/more.log.1')


def into_a_file_under_fire(w):
    """A file of output=file: loses no line and doubles none while monitor and dm-log are killed with -9, and while it is rotated."""
    w.folder('/home/david/log', 'david', 0o700)
    path = '/home/david/log/web.log'
    pid = counting.start(w, 'output=file:%h/log/%n.log\nlog_size=16K\nlog_keep=1000\n')
    for turn in range(8):
        before = len(os.listdir('/home/david/log'))
        _kill(_loggers(w))
        if turn % 2 == 0:
            os.kill(w.manager.pid, signal.SIGKILL)
            w.manager.wait()
            w.start()
        world.wait_for(lambda: len(os.listdir('/home/david/log')) > before + 2, 'it is rotated')
    assert w.up('david/web') == pid

    def whole():
        old = sorted((name for name in os.listdir('/home/david/log') if name != 'web.log'), key=lambda name: -int(name.rpartition('.')[2]))
        return ''.join(_read(f'/home/david/log/{name}') for name in old) + _read(path)
    counting.end(whole)
    assert not os.path.exists('/home/david/.daemon-manager/logs')


def moved_to_another_place(w):
    """A changed output= counts from the next start; the old file stays as it is."""
    w.folder('/home/david/log', 'david', 0o700)
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo first; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    _wait(w, 'first')
    w.conf('david', 'web', 'dir=/\noutput=file:/home/david/log/web.log\nstart=echo second; exec sleep 1001\n')
    w.dmctl('david', 'restart', 'web').exits(0)
    world.wait_for(lambda: 'second' in _read('/home/david/log/web.log'), lambda: _log(w))
    assert 'second' not in _log(w)
    w.dmctl('david', 'log', 'web').exits(0).says('second')


@contextlib.contextmanager
def _syslogd():
    """A /dev of this world's own, in which a syslogd listens; gives its socket."""
    os.mkdir('/tmp/dev')
    world.mount('-t', 'tmpfs', '-o', 'mode=0755', 'dev', '/tmp/dev')
    for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):
        world.write(f'/tmp/dev/{name}', '')
        world.mount('--bind', f'/dev/{name}', f'/tmp/dev/{name}')
    for name in ('pts', 'shm'):
        os.mkdir(f'/tmp/dev/{name}')
        world.mount('--bind', f'/dev/{name}', f'/tmp/dev/{name}')
    for name, to in (('ptmx', 'pts/ptmx'), ('fd', '/proc/self/fd'), ('stdin', 'fd/0'), ('stdout', 'fd/1'), ('stderr', 'fd/2')):
        os.symlink(to, f'/tmp/dev/{name}')
    world.mount('--rbind', '/tmp/dev', '/dev')
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind('/dev/log')
            os.chmod('/dev/log', 0o666)
            listener.setblocking(False)
            yield listener
    finally:
        subprocess.run(['umount', '-R', '-l', '/dev'], check=True)
        subprocess.run(['umount', '-R', '-l', '/tmp/dev'], check=True)


def into_syslog(w):
    """output=syslog sends each line to syslog, of facility daemon and with the daemon's id, though the daemon runs as www-data; none is
    lost while monitor and dm-log are killed; log tells where to look, and check that keys of logs mean nothing there."""
    said = ''
    with _syslogd() as listener:
        def heard():
            nonlocal said
            with contextlib.suppress(BlockingIOError):
                while True:
                    said += listener.recv(65536).decode() + '\n'
            return said
        w.conf('david', 'mail', 'dir=/\nuser=www-data\ninstances=2\noutput=syslog\nlog_size=1M\nstart=echo here is %i; exec sleep 1001\n')
        w.dmctl('david', 'check', 'mail').exits(0).says('warning', 'log_size= with output=syslog')
        w.start()
        w.up('david/mail:2')
        line = r'^<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d david/mail:2: here is 2$'
        world.wait_for(lambda: re.search(line, heard(), re.M) and 'david/mail:2: --- started, pid' in said, heard)
        for user, verb in (('david', 'log'), ('david', 'tail'), ('root', 'log'), ('helpdesk', 'log')):
            w.dmctl(user, verb, 'david/mail:2').exits(1).says("journalctl -t 'david/mail:2'", '/var/log')
        w.dmctl('david', 'reopen', 'mail:2').exits(0)
        w.stop()
        said = ''
        w.script('/srv/count', counting.PROGRAM.replace('0.001', '0.02'))
        w.conf('david', 'web', 'dir=/\nstart=exec /srv/count\noutput=syslog\n')
        w.start()
        pid = w.up('david/web')
        for turn in range(6):
            size = len(heard())
            _kill(_loggers(w))
            if turn % 2 == 0:
                os.kill(w.manager.pid, signal.SIGKILL)
                w.manager.wait()
                w.start()
            world.wait_for(lambda: len(heard()) > size + 10_000, 'lines go on')
        assert w.up('david/web') == pid
        world.write(counting.ENOUGH, '')
        world.wait_for(lambda: 'the last was' in heard(), 'the last line')
        lines = [text for text in re.findall(r'david/web: (.*)', said) if not text.startswith('---')]
        numbers = counting.numbers('\n'.join(lines))
        once = [number for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1]]
        assert counting.in_order(once) == int(re.search(r'the last was (\d+)', said).group(1))
        assert len(numbers) - len(once) <= 9, 'more are doubled than dm-logs were killed'
        assert not os.path.exists('/home/david/.daemon-manager/logs')
        w.stop()


def one_file_for_two(w):
    """Two confs with the same output=file: the later one gets a warning that names the other, until one of them is changed."""
    text = 'dir=/\noutput=file:%h/both.log\nstart=sleep 1001\n'
    w.conf('david', 'one', text)
    w.conf('david', 'two', text)
    w.start()
    w.wait_note('two.conf: output=file:/home/david/both.log is the log of one too')
    w.conf('david', 'two', text + '# again\n')
    said = w.dmctl('david', 'rescan').exits(0).says('warning: ', 'is the log of one too')
    assert 'one.conf' not in said.text, said
    w.conf('david', 'one', text.replace('both', 'mine'))
    w.dmctl('david', 'rescan').exits(0)
    assert 'is the log of' not in w.dmctl('david', 'status').text
