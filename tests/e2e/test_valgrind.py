"""The monitor under valgrind's memcheck, with a real kernel, worker, helpers and daemons below it."""
import contextlib
import os
import shutil
import signal
import subprocess

import sanitized
import world

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'valgrind_shim.c'), 'rb') as shim:  # not seen from the world
    SHIM = shim.read()
UNDER = """#!/bin/sh
LD_PRELOAD=/srv/shim.so exec valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \\
  --error-exitcode=99 --log-file=/tmp/valgrind.%p {manager} "$@"
"""


@contextlib.contextmanager
def _under_valgrind(w):
    real, cage = world.MANAGER, sanitized.Cage(world.RUN_DIR + '/empty', world.HELPERS)
    w.folder('/srv', 'root')
    subprocess.run(['gcc', '-O1', '-shared', '-fPIC', '-o', '/srv/shim.so', '-x', 'c', '-'], input=SHIM, check=True)
    # Valgrind looks at what it is to execute, also from the worker's root.
    w.cage = cage
    cage.furnish(forget=True)
    world.MANAGER = w.script('/srv/manager', UNDER.format(manager=real))
    try:
        yield
    finally:
        world.MANAGER = real
        cage.clear()
        w.cage = None
        for name in os.listdir(world.HELPERS):
            os.chmod(f'{world.HELPERS}/{name}', 0o711)


def _findings():
    said, reports = '', [name for name in os.listdir('/tmp') if name.startswith('valgrind.')]
    assert reports, 'valgrind did not run'
    for name in reports:
        with open('/tmp/' + name) as file:
            # (It knows no pidfd_open, and says so; the monitor goes on by start times.)
            said += ''.join(line for line in file if line.startswith('=='))
    return said


@sanitized.not_sanitized('two of their kind do not go together')
def memcheck(w):
    """From its start to its end, with starts, crashes, reloads, a killed worker and a takeover, the monitor reads no byte that it
    did not write, and loses none that it took."""
    assert shutil.which('valgrind'), 'there is no valgrind'
    for name in ('web', 'site'):
        w.conf('david', name, 'dir=/\noutput=log\nuser=www-data\nstart=sleep 1000\nstop_timeout=1s\n')
    w.conf('david', 'gone', 'dir=/\nstart=false\n')
    with _under_valgrind(w):
        w.start()
        for name in ('web', 'site'):
            w.up('david/' + name)
        w.dmctl('david', 'restart', 'web').exits(0)
        w.dmctl('david', 'kill', 'KILL', 'site').exits(0)
        world.wait_for(lambda: w.rows()['david/site'].respawns == 1, 'it has come back')
        w.conf('david', 'third', 'dir=/\nstart=sleep 1001\n')
        w.rescan('david')
        os.unlink(w.conf_path('david', 'third'))
        w.rescan('david')
        os.kill(w.worker(), signal.SIGKILL)
        world.wait_for(lambda: w.dmctl('root', 'version').code == 0, 'the next worker serves')
        w.reload('[runs_as]\ndavid: www-data\namy\n[nonsense]\n')
        w.reload('[runs_as]\ndavid: www-data\nbob\n')
        w.manager.kill()
        w.manager.wait()
        w.start()
        w.up('david/web')
        assert w.stop(signal.SIGTERM, 60) == 0, f'{w.log()}\n{_findings()}'
        assert not _findings(), _findings()
