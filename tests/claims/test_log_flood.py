"""Daemons that print as fast as the machine lets them, into a log that has little room."""
import contextlib
import os
import subprocess

import client
import world

LOGS = '/home/david/.daemon-manager/logs'
LOG = LOGS + '/web.log'
ROOM = 16 * 1024 * 1024
ENOUGH = 100 * 1024 * 1024  # of output that goes through
MORE = 4 * 1024             # KiB of memory that no process of the manager's may need for it


@contextlib.contextmanager
def _little_room(w):
    """david's logs are a file system of their own, with little room."""
    w.folder('/home/david/.daemon-manager', 'david', 0o700)
    w.folder(LOGS, 'david', 0o700)
    world.mount('-t', 'tmpfs', '-o', f'size={ROOM},uid=1000,gid=1000,mode=0700', 'logs', LOGS)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', LOGS], check=True)


def _logger(w):
    return world.wait_for(lambda: [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']], 'dm-log')[0]


def _written(pid):
    with open(f'/proc/{pid}/io') as counts:
        return int(dict(line.split(': ') for line in counts)['wchar'])


def _memory(w, pids):
    return [int(w.status_of(pid)['RssAnon'].split()[0]) for pid in pids]


def _staged():
    """Bytes that are kept of what is not in a log yet."""
    return sum(os.stat(entry).st_blocks * 512 for entry in os.scandir(world.RUN_DIR + '/log'))


def _full():
    room = os.statvfs(LOGS)
    return room.f_bavail == 0


def _flood(w, command):
    w.conf('david', 'web', f'dir=/\noutput=log\nautostart=no\nstart={command}\n')
    w.conf('amy', 'radio', 'dir=/\noutput=log\nstart=echo music; exec sleep 1002\n')
    with _little_room(w):
        w.start()
        radio, worker = w.up('amy/radio'), w.worker()
        w.dmctl('david', 'start', 'web').exits(0)
        flood, logger = w.up('david/web'), _logger(w)
        pids = [w.manager.pid, worker, logger]
        world.wait_for(lambda: _written(logger) > ROOM // 4, 'it prints')
        memory = _memory(w, pids)

        def through():
            with contextlib.suppress(FileNotFoundError):
                os.truncate(LOG, 0)  # its owner makes room, again and again
            client.ask('amy', client.request('status'))
            return _written(logger) > ENOUGH

        world.wait_for(through, lambda: f'{_written(logger)} bytes')
        w.dmctl('amy', 'restart', 'radio').exits(0)
        assert w.up('amy/radio') != radio
        world.wait_for(lambda: 'music' in w.dmctl('amy', 'log', 'radio').out, 'the log of the other')
        # Now nobody makes room: what does not fit is dropped, slowly, so that the daemon does not hang for ever.
        world.wait_for(_full, 'there is no room left')
        printed = _written(flood)
        world.wait_for(lambda: _written(flood) > printed + 512 * 1024, 'it prints on')
        client.ask('amy', client.request('status'))
        assert w.alive(logger) and w.worker() == worker and _full() and _staged() < 1024 * 1024, _staged()
        grown = [now - before for before, now in zip(memory, _memory(w, pids))]
        # (The sanitizers keep freed memory for a while.)
        assert w.cage or max(grown) < MORE, f'KiB of monitor, worker and dm-log: {grown}'
        os.truncate(LOG, 0)
        world.wait_for(lambda: b'were dropped' in _log(), 'with new room it goes on, and tells what was dropped')
        w.dmctl('david', 'stop', 'web').exits(0)
        assert not w.alive(flood) and w.row('david/web').state == 'stopped'
        assert w.stop() == 0


def _log():
    with open(LOG, 'rb') as log:
        return log.read(1024 * 1024)


def lines_without_end(w):
    """A daemon that prints lines as fast as it can costs its owner his room and nobody else anything: others are served and
    logged, no memory grows, what finds no room is dropped and counted, and stop works. Claim: output-bounded."""
    _flood(w, 'exec yes')


def one_line_without_end(w):
    """The same for one that prints a single line without end. Claim: output-bounded."""
    _flood(w, 'exec cat /dev/zero')
