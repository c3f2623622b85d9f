"""`dmctl log` on a terminal, shown in a pager: a real less, and what stands in its place."""
import os
import re
import signal
import termios

import world
from terminal import Terminal

ESC = '\x1b'
END = ESC + '[m\n'  # less takes colours off at the end of a line
SIZE = {'LINES': '24', 'COLUMNS': '80'}


def _log(w, name, count, word='line'):
    """A daemon's log of so many lines, without stamps."""
    folder = w.folder('/home/david/.daemon-manager/logs', 'david', 0o700)
    w.script(f'{folder}/{name}.log', ''.join(f'{word} {number}\n' for number in range(1, count + 1)), 'david', 0o600)
    w.conf('david', name, 'dir=/\noutput=log\nlog_stamp=none\nlog_size=0\nstart=exec sleep 1001\n')


def _start(w, **logs):
    for name, count in logs.items():
        _log(w, name, count)
    w.start()
    for name in logs:
        w.up(f'david/{name}')
        world.wait_for(lambda: 'started, pid' in w.dmctl('david', 'log', name, '-n', '1').out, 'the log is as long as it gets')


def _show(w, *arguments, user='david', **environment):
    return Terminal(w, user, world.DMCTL, 'log', *arguments, **SIZE, **environment)


def _ends(terminal, code=0):
    """It ends so, says no word of pipes, and the terminal is as it was."""
    world.wait_for(lambda: terminal.read(0.02) is not True or terminal.running.poll() is not None, lambda: f'it ends: {terminal.said[-300:]!r}')
    assert termios.tcgetattr(terminal.ours) == terminal.modes
    said = terminal.ends(code)
    assert 'pipe' not in said.lower(), said
    return said


def _less(w):
    return world.wait_for(lambda: [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['less']], 'less runs')[0]


def page_by_page(w):
    """A long log is shown page by page, and left at any time with exit 0; one that fits on the screen is just printed."""
    _start(w, web=500, short=5)
    shown = _show(w, 'web').expect(f'line 1{END}').expect(f'line 22{END}').expect(':')
    assert 'line 30' not in shown.said
    shown.type(' ').expect(f'line 40{END}').type('G').expect(f'line 500{END}').expect('started, pid').type('q')
    _ends(shown)
    assert f'line 5{END}' in _ends(_show(w, 'short'))


def left_early(w):
    """Who leaves the pager at the first of millions of lines ends dmctl too, with 0; until then it waits, and holds no more of the log than
    the pager wants."""
    _start(w, web=3_000_000)
    shown = _show(w, 'web').expect(f'line 22{END}').expect(':')
    memory = int(w.status_of(shown.running.pid)['RssAnon'].split()[0])
    assert w.cage or memory < 2048, f'{memory} KiB'
    # Ctrl-C is the pager's: it goes on, and so does dmctl.
    shown.type('\x03')
    def goes_on():
        shown.type(' ').read(0.5)
        return f'line 40{END}' in shown.said
    world.wait_for(goes_on, lambda: f'it shows what follows: {shown.said[-300:]!r}')
    assert shown.running.poll() is None
    shown.type('q')
    _ends(shown)
    # While it reads on to the end, Ctrl-C stops that alone.
    shown = _show(w, 'web', DMCTL_PAGER='less').expect(f'line 22{END}').expect(':')
    shown.type('G').type('\x03')
    def left():
        if shown.running.poll() is None:
            shown.type('q').read(0.2)
        return shown.running.poll() is not None
    world.wait_for(left, lambda: f'it can be left: {shown.said[-300:]!r}')
    _ends(shown)


def killed(w):
    """A pager that is killed leaves the terminal in order, and is no failure; a dmctl that is ended takes its pager along."""
    _start(w, web=100_000)
    shown = _show(w, 'web').expect(f'line 22{END}').expect(':')
    assert termios.tcgetattr(shown.ours) != shown.modes
    os.kill(_less(w), signal.SIGKILL)
    _ends(shown)
    for number in (signal.SIGTERM, signal.SIGHUP):
        shown = _show(w, 'web').expect(f'line 22{END}').expect(':')
        less = _less(w)
        os.kill(shown.running.pid, number)
        _ends(shown, -number)
        world.wait_for(lambda: not w.alive(less), 'less has ended')


def which_one(w):
    """DMCTL_PAGER counts before PAGER, each may be several words or need a shell; an empty one and `cat` mean none, and so does one that
    is not there; LESS is the caller's where he has set it."""
    _start(w, web=100)
    w.script('/srv/pager', '#!/bin/sh\nsed "s/^/$1 $LESS: /"\n')
    def said(*arguments, **environment):
        return _ends(_show(w, 'web', *arguments, **environment))
    assert 'mine FRX: line 100\n' in said(PAGER='/srv/pager mine')
    assert 'mine FRX: line 100\n' in said(DMCTL_PAGER='/srv/pager mine', PAGER='/srv/pager yours')
    assert 'mine iX: line 100\n' in said(PAGER='/srv/pager mine', LESS='iX')
    assert 'shell FRX: line 100\n' in said(PAGER='A=shell; /srv/pager "$A" | cat')
    for plain in ({'PAGER': ''}, {'PAGER': 'cat'}, {'DMCTL_PAGER': '', 'PAGER': '/srv/pager mine'}, {'DMCTL_PAGER': '/nonexistent -x'},
                  {'PAGER': '/srv/pager mine', 'TERM': 'dumb'}):
        text = said(**plain)
        assert text.startswith('line 1\n') and 'line 100\n' in text, (plain, text)
    answer = _show(w, 'web', PAGER='/nonexistent "a b"').ends(1)
    assert '/nonexistent "a b"' in answer and '--no-pager' in answer, answer


def where_there_is_none(w):
    """No pager comes up for tail and -f, with -o raw or --no-pager, where the output is no terminal, and for root with the log of
    another; for other verbs --no-pager is refused."""
    _start(w, web=100)
    w.script('/srv/pager', '#!/bin/sh\nsed "s/^/paged: /"\n')
    mine = {'PAGER': '/srv/pager'}
    assert 'paged: line 100\n' in _ends(_show(w, 'web', **mine))
    for arguments in (('web', '--no-pager'), ('web', '-o', 'raw'), ('--no-pager', 'web', '-n', '3')):
        text = _ends(_show(w, *arguments, **mine))
        assert 'paged' not in text and 'line 100\n' in text, text
    assert 'paged' not in _ends(_show(w, 'david/web', user='root', **mine))
    follow = _show(w, 'web', '-f', **mine).expect('line 100\n')
    follow.type('\x03')
    assert 'paged' not in follow.ends(-signal.SIGINT)
    tail = Terminal(w, 'david', world.DMCTL, 'tail', '--no-follow', 'web', **mine)
    assert 'paged' not in tail.ends(0)
    assert 'paged' not in w.run('david', 'env', 'TERM=xterm', 'PAGER=/srv/pager', world.DMCTL, 'log', 'web').out
    w.dmctl('david', 'status', '--no-pager').exits(2).says('only log and tail')


def colours_and_errors(w):
    """Through less, too, each daemon of several has its colour, what a log holds of escapes is shown as such, and what is wrong with one
    is said among the others, with the exit code."""
    _log(w, 'left', 3, f'{ESC}[2Jevil')
    _start(w, right=3)
    w.up('david/left')
    w.conf('david', 'quiet', 'dir=/\nstart=exec sleep 1001\n')
    w.rescan('david')
    text = _ends(_show(w, 'left', 'right'))
    for name, colour in (('left ', 31), ('right', 32)):
        assert re.search(rf'{ESC}\[{colour}mdavid/{name} \| {ESC}\[0?m', text), text
    assert '\\x1b[2Jevil 3' in text and f'{ESC}[2J' not in text, text
    assert 'output=log' in _ends(_show(w, 'left', 'quiet'), 1)
