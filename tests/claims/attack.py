"""What several attacks need: small C programs that race, and a look for bytes that must be nowhere."""
import contextlib
import os
import subprocess

import world

HERE = os.path.dirname(os.path.abspath(__file__))


def _read(name):
    with open(f'{HERE}/{name}') as source:
        return source.read()


# Read at once: inside of the world this folder may not be there.
SOURCES = {name: _read(name) for name in ('swapper.c', 'tracer.c', 'witness.c', 'killer.c')}


def build(source, path, mode=0o755):
    """Compiles one of SOURCES, or C text, to a program of root's."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', path], input=SOURCES.get(source, source),
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, errors='replace') as file:
        return file.read()


def state(path):
    """All by which a file that nobody may touch would show that somebody did."""
    info = os.stat(path)
    return read(path), info.st_mode, info.st_uid, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def life_goes_on(w):
    """david's daemon got rid of all its lines, and amy's log is written."""
    w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/printed'), 'the daemon prints on')
    log = '/home/amy/.daemon-manager/logs/radio.log'
    world.wait_for(lambda: os.path.exists(log) and 'music' in read(log), "amy's log")


def program(w, name, text):
    """A program of root's in Python, in one word, for start=."""
    return w.script(f'/srv/{name}', '#!/usr/bin/python3\n' + text)


def witnesses():
    return {name for name in os.listdir('/tmp/seen') if not name.endswith('.part')}


def witnessed(name):
    """What a helper was born with: witness.c wrote it."""
    return dict(line.split(':\t', 1) for line in read(f'/tmp/seen/{name}').splitlines() if ':\t' in line)


@contextlib.contextmanager
def instead(source, *helpers):
    """While it lasts a manager that starts finds this program in the place of these helpers, and the real ones as NAME.real."""
    os.makedirs('/tmp/seen', exist_ok=True)
    os.chmod('/tmp/seen', 0o1777)
    for name in helpers:
        os.rename(f'{world.HELPERS}/{name}', f'{world.HELPERS}/{name}.real')
    try:
        for name in helpers:
            build(source, f'{world.HELPERS}/{name}')
        yield
    finally:
        for name in helpers:
            os.rename(f'{world.HELPERS}/{name}.real', f'{world.HELPERS}/{name}')


class Swapper:
    """Exchanges two names as their owner, ever again, while it lasts; at the end both are as they were."""

    def __init__(self, w, user, one, other):
        self.program = build('swapper.c', '/srv/swapper')
        self.process = w.background(user, self.program, one, other, '/tmp/swapped')

    def count(self):
        text = read('/tmp/swapped') if os.path.exists('/tmp/swapped') else ''
        return int(text or 0)

    def end(self):
        self.process.terminate()
        said, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, said
        return int(said)


def _memory(pid):
    """All that a process can read of itself, piece by piece with its name."""
    with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if 'r' not in rights or '[v' in line:
                continue
            begin, end = (int(part, 16) for part in span.split('-'))
            if end - begin > 1 << 32:
                continue  # a sanitizer's shadow
            try:
                memory.seek(begin)
                yield line.strip(), memory.read(end - begin)
            except OSError:
                continue


def memfds(pid):
    """The paths of the books and policies that a process holds."""
    for fd in os.listdir(f'/proc/{pid}/fd'):
        path = f'/proc/{pid}/fd/{fd}'
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile: a connection
            if os.readlink(path).startswith('/memfd:'):
                yield path


def _files(pid):
    for path in memfds(pid):
        with open(path, 'rb') as file:
            yield path, file.read()


def places(w, needle, also=b''):
    """Where `needle` is in the worker's memory and files, or in the manager's log. The worker holds `also`: else this looks
    at the wrong place."""
    worker = w.worker()
    found, control = [], not also
    for name, text in [*_memory(worker), *_files(worker), ('the log', w.log().encode())]:
        control = control or also in text
        if needle in text:
            found.append(name)
    assert control, f'the worker does not hold {also}'
    return found
