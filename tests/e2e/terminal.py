"""A program of a user's on a terminal of its own, that a test types at."""
import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import world


class Terminal:
    def __init__(self, w, user, *argv, cwd='/', columns=0, **environment):
        self.ours, its = pty.openpty()
        termios.tcsetwinsize(its, (24 if columns else 0, columns))
        self.said, self.seen = '', 0
        self.modes = termios.tcgetattr(self.ours)  # as they were before anybody ran on it
        self.running = subprocess.Popen(argv, stdin=its, stdout=its, stderr=its, cwd=cwd, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env={'PATH': world.PATH, 'HOME': w.home(user), 'USER': user, 'LANG': 'C.UTF-8', 'TERM': 'xterm',
                                             **environment}, **w.ids(user))
        os.close(its)

    def read(self, seconds=1.0):
        """Takes what comes within that time; False at the end."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.ours, 65536)
        except OSError:  # EIO: nobody has the other end any more
            data = b''
        self.said += data.decode(errors='replace').replace('\r\n', '\n')
        return bool(data)

    def expect(self, words):
        """Waits for these words behind those that were waited for before."""
        begin = time.monotonic()
        while words not in self.said[self.seen:]:
            assert self.read() and time.monotonic() - begin < world.PATIENCE, f'expected {words!r} in {self.said[self.seen:]!r} of {self.said!r}'
        self.seen = self.said.index(words, self.seen) + len(words)
        return self

    def type(self, text):
        os.write(self.ours, text.encode())
        return self

    def answer(self, question, text):
        return self.expect(question).type(text)

    def ends(self, code):
        """Reads to its end, which must be with that exit code; returns all that it said."""
        begin = time.monotonic()
        while self.read(0.1) and (self.running.poll() is None or select.select([self.ours], [], [], 0)[0]):
            assert time.monotonic() - begin < world.PATIENCE, f'it does not end: {self.said!r}'
        found = self.running.wait(world.PATIENCE)
        os.close(self.ours)
        assert found == code, f'expected exit {code}, not {found}: {self.said}'
        return self.said
