"""A terminal whose screen can be looked at: tmux, with a shell of a user's in it."""
import shlex
import time

import world


class Tmux:
    """`with Tmux(w, 'david', 80, 24) as screen:` starts a shell; what it shows is screen.lines()."""
    serial = 0

    def __init__(self, w, user, columns, rows, **environment):
        self.w, self.user = w, user
        Tmux.serial += 1
        self.socket = f'{w.home(user)}/tmux.{Tmux.serial}'
        settings = {'LANG': 'C.UTF-8', 'PS1': 'ready$ ', **environment}
        words = [f'{name}={value}' for name, value in settings.items()]
        self.tmux('new-session', '-d', '-x', str(columns), '-y', str(rows), '-c', w.home(user), 'env', *words, 'sh')
        self.tmux('set-option', '-g', 'window-size', 'manual')
        self.tmux('resize-window', '-x', str(columns), '-y', str(rows))
        self.wait('ready$')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.w.run(self.user, 'tmux', '-S', self.socket, 'kill-server')

    def tmux(self, *words):
        return self.w.run(self.user, 'env', 'LANG=C.UTF-8', 'tmux', '-u', '-f', '/dev/null', '-S', self.socket, *words).exits(0).out

    def lines(self):
        return self.tmux('capture-pane', '-p').split('\n')[:-1]

    def coloured(self):
        """The screen with its SGR sequences."""
        return self.tmux('capture-pane', '-p', '-e')

    def type(self, *keys):
        """Keys by tmux's names; words that are none are typed as they are."""
        self.tmux('send-keys', *keys)
        return self

    def command(self, *words):
        """A command for the shell, on a screen that is empty before it."""
        self.type('-l', 'clear; ' + (words[0] if len(words) == 1 else shlex.join(words)))
        return self.type('Enter')

    def resize(self, columns, rows):
        self.tmux('resize-window', '-x', str(columns), '-y', str(rows))
        return self

    def wait(self, *words, gone=()):
        """Waits for a screen that shows all these words, and none of `gone`; returns its lines."""
        begin = time.monotonic()
        while True:
            lines = self.lines()
            text = '\n'.join(lines)
            if all(word in text for word in words) and not any(word in text for word in gone):
                return lines
            assert time.monotonic() - begin < world.PATIENCE, f'expected {words}, not {gone}, on this screen:\n{text}'
            time.sleep(0.05)
