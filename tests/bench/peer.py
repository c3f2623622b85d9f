"""What the benchmark asks of a manager of daemons, whichever it is. Each is prepared, launched and measured in a world of its own."""
import os
import subprocess

FIRST = '/usr/local/bin/first'
SERVICES = '/run/services'
LOG = '/tmp/manager.log'


class Cannot(Exception):
    """This manager has no such step, or fails at it; says why."""


class Peer:
    name = ''            # as --only takes it
    title = ''           # as tables show it
    packages = ()        # of Debian
    given = ''           # the flag with its path, where Debian has it not
    most = (10 ** 9, '')  # children it can have, and what limits them
    settle = 1.3         # seconds after which a death is answered at once
    notes = ()           # what a reader must know to judge the figures
    patience = 120.0     # seconds for the start of all

    def __init__(self, count, paths):
        self.count, self.paths = count, paths

    def prepare(self, world):
        """Writes all that can be written before the clock runs."""

    def arguments(self):
        """How it is launched."""
        raise NotImplementedError

    def environment(self):
        return {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8'}

    def launch(self):
        with open(LOG, 'a') as log:
            return subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd='/',
                                    start_new_session=True, env=self.environment())

    def status_one(self, number):
        raise Cannot('it has no such command')

    def status_all(self):
        raise Cannot('it has no such command')

    def restart_one(self, number):
        raise Cannot('it has no such command')


def folder_each(count, run=FIRST):
    """A folder with a `run` for each daemon: the program itself, no shell between."""
    for number in range(count):
        os.makedirs(f'{SERVICES}/d{number:05}')
        os.symlink(run, f'{SERVICES}/d{number:05}/run')


def folders(count):
    return [f'{SERVICES}/d{number:05}' for number in range(count)]
