"""The machine's side of a run: builds what is measured, and gives each measurement a world of its own, one after the other."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import machine
import world

HERE, TOP = machine.HERE, machine.TOP


def build():
    """The tree as a user builds it; returns the stage."""
    folder = os.path.join(TOP, 'build', 'bench')
    again = ['--reconfigure'] if os.path.exists(folder + '/build.ninja') else []
    subprocess.run(['meson', 'setup', *again, folder, TOP, '-Dtests=false'], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(['meson', 'compile', '-C', folder], check=True, stdout=subprocess.DEVNULL)
    stage = folder + '/stage'
    subprocess.run(['meson', 'install', '-C', folder, '--no-rebuild', '--quiet'], check=True, env=dict(os.environ, DESTDIR=stage))
    return stage


def furnish(stage, into, paths):
    """A copy of the stage with the benchmark's own programs, and those of peers that flags named; changes paths to theirs inside."""
    subprocess.run(['cp', '-a', stage + '/.', into], check=True)
    os.chmod(into, 0o755)
    programs = into + '/usr/local/bin'
    os.makedirs(programs, exist_ok=True)
    for name in ('first', 'floor', 'pass', 'lines', 'detach'):
        bare = ['-nostdlib'] if name == 'first' and os.uname().machine == 'x86_64' else []
        subprocess.run(['gcc', '-O2', '-static', *bare, '-o', f'{programs}/{name}', f'{HERE}/{name}.c'], check=True)
    for name, path in list(paths.items()):
        if isinstance(path, str) and os.path.isdir(path):
            os.makedirs(into + '/opt', exist_ok=True)
            shutil.copytree(path, f'{into}/opt/{name}', symlinks=True)
            paths[name] = f'/opt/{name}'


@contextlib.contextmanager
def memory_group():
    """A memory cgroup where there is cgroup v1 for it; v2's is made by world.py. None where there is neither."""
    top, made = '/sys/fs/cgroup/memory', None
    if os.path.exists(top + '/memory.kmem.usage_in_bytes'):
        with open('/proc/self/cgroup') as own:
            path = next((line.strip().split(':', 2)[2] for line in own if line.split(':')[1] == 'memory'), '/')
        with contextlib.suppress(OSError):
            made = tempfile.mkdtemp(prefix='dm-bench.', dir=top + path)
    try:
        yield made
    finally:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(made)


def measure(stage, **order):
    """One measurement in a fresh world; what it found, or why it did not get to its end."""
    begin = time.monotonic()
    with memory_group() as group:
        reader, writer = os.pipe()
        code = world.outside([sys.executable, HERE + '/run', '--inside', json.dumps({**order, 'group': group})], stage,
                             stdin=subprocess.DEVNULL, stdout=writer)
        os.close(writer)
        with os.fdopen(reader) as said:
            lines = said.read().splitlines()
    if code != 0 or not lines:
        return {'figures': {}, 'reasons': {'all': f'the measurement failed with {code}; its last words are above'}}
    return {**json.loads(lines[-1]), 'took_s': round(time.monotonic() - begin, 1)}
