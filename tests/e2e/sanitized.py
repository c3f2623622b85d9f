"""A world for a build with the sanitizers (-Db_sanitize=address,undefined): what their runtime needs, and where it reports.

The worker's empty folder gets the shared libraries, for such a build cannot be linked static, and /proc, which the runtime reads;
for the same reason the helpers may be read, and their processes with them."""
import os
import shutil
import subprocess

FOLDER = '/sanitizers'  # as in tests/sanitizers/options.cc
NEEDED = ('lib', 'lib64', 'usr', 'proc', 'sanitizers')
SIGNS = ('Sanitizer:', 'runtime error:')


def is_sanitized(program):
    with open(program, 'rb') as file:
        return b'__asan_init' in file.read()


def not_sanitized(why):
    """Marks a test whose subject such a build does not have: the plain build has it alone."""
    def mark(test):
        test.not_sanitized = why
        return test
    return mark


def only_sanitized(why):
    """Marks a test that a plain build does not bear."""
    def mark(test):
        test.only_sanitized = why
        return test
    return mark


class Cage:
    def __init__(self, folder, helpers):
        self.folder, self.helpers = folder, helpers

    def furnish(self, forget=False):
        """A new one, again after each clear(). `forget`: what was reported so far."""
        if forget:
            shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER, exist_ok=True)
        os.chmod(FOLDER, 0o1777)
        for name in os.listdir(self.helpers):
            os.chmod(f'{self.helpers}/{name}', 0o755)
        os.makedirs(self.folder)
        for name in NEEDED:
            os.mkdir(f'{self.folder}/{name}')
            how = 'bind,rw' if name in FOLDER else 'bind,ro'
            subprocess.run(['mount', '-o', how, '/' + name, f'{self.folder}/{name}'], check=True)
        os.chmod(self.folder, 0o555)

    def clear(self):
        for name in NEEDED:
            subprocess.run(['umount', '-l', f'{self.folder}/{name}'], capture_output=True)

    def reports(self, log):
        """What was found since it was last forgotten; '' for nothing. `log`: the manager's."""
        said = []
        for name in sorted(os.listdir(FOLDER)):
            with open(f'{FOLDER}/{name}', errors='replace') as file:
                said.append(file.read(4000))
        said += [line for line in log.splitlines() if any(sign in line for sign in SIGNS)]
        return '\n'.join(said)
