"""Log throughput: lines of 100 bytes through dm-log as the manager runs it, and through other loggers at the end of a pipe."""
import os
import subprocess
import time

import watch
import world

LINES, LOGS = '/usr/local/bin/lines', '/tmp/logs'

# name: (what it runs, program of which package); each stamps its lines but cat, and rotates as late as it can.
PIPES = {
    'cat >file': ['/bin/sh', '-c', f'exec cat >{LOGS}/current'],
    'svlogd -tt': ['/usr/bin/svlogd', '-tt', '-b', '65536', LOGS],
    's6-log t': ['/usr/bin/s6-log', 't', 's268435455', 'n20', LOGS],
    'multilog t': ['/usr/bin/multilog', 't', 's16777215', 'n100', LOGS],
}


def _of(count, seconds, cpu_seconds, stored):
    size = count * 100
    return {'mb_per_s': size / seconds / 1e6, 'cpu_s_per_gb': cpu_seconds / size * 1e9, 'lines': count, 'stored_mb': stored / 1e6}


def _size(folder):
    return sum(os.stat(f'{folder}/{name}').st_size for name in os.listdir(folder))


def _piped(argv, count):
    os.makedirs(LOGS)
    with open(LOGS + '/config', 'w') as config:  # svlogd's
        config.write('s2000000000\nn20\n')
    begin = time.monotonic()
    logger = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=LOGS)
    writer = subprocess.Popen([LINES, str(count)], stdin=subprocess.DEVNULL, stdout=logger.stdin)
    logger.stdin.close()
    writer.wait()
    used = os.wait4(logger.pid, 0)[2]
    seconds = time.monotonic() - begin
    stored = _size(LOGS)
    subprocess.run(['rm', '-rf', LOGS], check=True)
    if stored < count * 100:
        return {'reason': f'it kept {stored / 1e6:.0f} MB of {count / 1e4:.0f}'}
    return _of(count, seconds, used.ru_utime + used.ru_stime, stored)


def _ours(here, count):
    """From `dmctl start` until the last line is in the file; CPU of dm-log alone, which is what others' loggers are."""
    here.conf('david', 'writer', f'dir=/\nstart={LINES} {count} sleep\noutput=log\nautostart=no\nlog_size=0\n')
    here.start('[runs_as]\ndavid\n')
    here.conf('david', 'waits', 'dir=/\nstart=/usr/local/bin/lines 0 sleep\noutput=log\nlog_size=0\n')
    here.rescan('david')
    here.up('david/waits')  # so that dm-log runs
    time.sleep(0.5)
    logger = here.find('dm-log')
    before = watch.cpu_ms(logger)
    path = here.home('david') + '/.daemon-manager/logs/writer.log'
    begin = time.monotonic()
    here.dmctl('david', 'start', 'writer').exits(0)
    least, until = count * 100, begin + 120
    while not os.path.exists(path) or os.stat(path).st_size < least:
        if time.monotonic() > until:
            return {'reason': f'only {os.stat(path).st_size} bytes within 120 s'}
        time.sleep(0.001)
        if least == count * 100 and os.path.exists(path):  # stamps count, as soon as one is seen
            with open(path, 'rb') as log:
                first = next((line for line in log if b'GET' in line), b'')
            if first.endswith(b'\n'):
                least = count * len(first)
    seconds = time.monotonic() - begin
    return _of(count, seconds, (watch.cpu_ms(logger) - before) / 1000, os.stat(path).st_size)


def run(here, order):
    """Megabytes of lines a second, and seconds of CPU for a gigabyte of them."""
    count = 300_000 if order['quick'] else 3_000_000
    found = {'dm-log': _ours(here, count)}
    here.reset()
    for name, argv in PIPES.items():
        found[name] = _piped(argv, count) if os.path.exists(argv[0]) else {'reason': 'not installed'}
    return {'figures': found, 'reasons': {}}
