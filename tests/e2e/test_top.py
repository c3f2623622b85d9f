"""top: a screen of 80x24 and of 200x50, keys that act, and a terminal that is as it was afterwards."""
import os
import re
import signal

import terminal
import tmux
import world


def _three(w):
    for number, name in enumerate(('blog', 'shop', 'wiki')):
        w.conf('david', name, f'dir=/\noutput=log\nstart=echo {name} speaks; exec sleep 600{number}\n')
    w.conf('david', 'idle', 'dir=/\nautostart=no\nstart=sleep 6009\n')
    w.start()
    for name in ('blog', 'shop', 'wiki'):
        w.up('david/' + name)


def _top(screen, *options):
    return screen.command('stty -g > before; dmctl top --interval=0.2 ' + ' '.join(options)).wait('dmctl top:', 'david/blog', 'q quit')


def _same_terminal(screen):
    screen.wait('ready$', gone=['dmctl top:'])
    screen.command('stty -g > after; cmp before after && echo the same').wait('the same')


def at_both_sizes(w):
    """top shows heads, rows, notes and keys within 80x24 and 200x50, draws anew at a resize while it runs, and gets by with less."""
    _three(w)
    for columns, rows in ((80, 24), (200, 50)):
        with tmux.Tmux(w, 'david', columns, rows) as screen:
            lines = _top(screen)
            assert lines[0].startswith('dmctl top: 3 of 4 run, by name'), lines
            assert lines[1].split() == ['daemon-id', 'state', 'pid', 'cpu%', 'memory', 'respawns', 'cooldown', 'uptime', 'total'], lines
            assert [line.split()[0] for line in lines[2:6]] == ['david/blog', 'david/idle', 'david/shop', 'david/wiki'], lines
            assert len(lines) == rows and lines[-1].startswith('q quit  ? help'), lines
            world.wait_for(lambda: re.search(r'david/blog +running +\d+ +\d+\.\d +[\d.]+[KM] ', screen.lines()[2]), 'percent and memory are known')
            screen.resize(50, 12)
            lines = world.wait_for(lambda: screen.lines()[-1].startswith('q quit') and screen.lines(), 'the keys are in the last line of the smaller one')
            assert len(lines) == 12 and 'total' not in lines[1] and 'state' in lines[1] and 'david/wiki' in lines[5], lines
            screen.resize(columns, rows)
            world.wait_for(lambda: 'total' in screen.lines()[1] and screen.lines()[-1].startswith('q quit'), 'all columns are back')
            screen.resize(20, 4).wait('david/blog')
            screen.type('q')
            screen.resize(columns, rows)
            _same_terminal(screen)


def keys_act(w):
    """Keys of top start, stop, restart and kill the chosen daemon, and those that end something ask first."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        _top(screen)
        screen.type('Down')
        screen.type('s')
        w.wait_state('david/idle', 'running')
        screen.type('x').wait('stop david/idle? [y/N]')
        screen.type('n').wait('nothing was done', gone=['[y/N]'])
        screen.type('x').wait('stop david/idle? [y/N]')
        screen.type('Escape').wait(gone=['[y/N]'])
        assert w.row('david/idle').state == 'running'
        screen.type('x').wait('stop david/idle? [y/N]')
        screen.type('y')
        w.wait_state('david/idle', 'stopped')
        world.wait_for(lambda: any('david/idle' in line and 'stopped' in line for line in screen.lines()), 'the screen shows it')
        screen.type('x').wait('it is stopped already; stop david/idle? [y/N]')
        screen.type('n').wait('nothing was done')
        screen.type('End')
        before = w.dmctl('david', 'pid', 'wiki').exits(0).out
        screen.type('r').wait('restart david/wiki? [y/N]')
        screen.type('y')
        world.wait_for(lambda: w.dmctl('david', 'pid', 'wiki').out not in ('', before), 'it runs as another process')
        screen.type('K').wait('send SIGTERM to david/wiki? [y/N]')
        screen.type('y').wait('signal 15 sent')
        screen.type('q')
        _same_terminal(screen)


def shows_what_was_done(w):
    """What a key of top did is seen within a moment, however seldom it looks otherwise."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        screen.command('dmctl top --interval=3600').wait('dmctl top:', 'david/blog', 'q quit')
        screen.type('r').wait('restart david/blog? [y/N]')
        before = w.row('david/blog').pid
        screen.type('y')
        world.wait_for(lambda: w.row('david/blog').pid not in (0, before), 'it runs as another process')
        after = str(w.row('david/blog').pid)
        world.wait_for(lambda: any('david/blog' in line and after in line.split() for line in screen.lines()), 'its pid is shown', 10)
        screen.type('q').wait('ready$')


def filter_and_sort(w):
    """/ filters by a part of the id or state, letters sort, ? helps, and a key that is none says so."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        _top(screen, '--sort=uptime')
        screen.wait('by uptime')
        screen.type('S').wait('by state')
        screen.type('N').wait('by name')
        screen.type('/').wait('filter: _')
        screen.type('-l', 'iki').wait('filter: iki_', 'david/wiki', gone=['david/shop'])
        screen.type('Enter').wait("only 'iki' (1)")
        screen.type('Escape').wait('david/shop')
        screen.type('/')
        screen.type('-l', 'stopped').wait('david/idle', gone=['david/wiki'])
        screen.type('BSpace').wait('filter: stoppe_')
        screen.type('Escape').wait('david/wiki')
        screen.type('?').wait('any key goes back')
        screen.type('Space').wait('david/wiki', gone=['any key goes back'])
        screen.type('y').wait('? shows the keys')
        screen.type('q')
        _same_terminal(screen)


def shows_a_log(w):
    """l shows the log of the chosen daemon and what follows in it, and Ctrl-C leads back to the table."""
    _three(w)
    world.wait_for(lambda: 'blog speaks' in w.dmctl('david', 'log', 'blog').out, 'it has spoken')
    for user, name in (('david', 'blog'), ('root', 'david/blog')):
        with tmux.Tmux(w, user, 80, 24) as screen:
            _top(screen)
            screen.type('l').wait('blog speaks', gone=['q quit'])
            screen.type('C-c').wait('dmctl top:', 'q quit', gone=['blog speaks'])
            screen.type('q')
            _same_terminal(screen)


def quits_by_signals(w):
    """Ctrl-C, SIGTERM and SIGHUP end top with the terminal as it was."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        _top(screen)
        screen.type('C-c')
        _same_terminal(screen)
        for number in (signal.SIGTERM, signal.SIGHUP):
            _top(screen)
            pid = world.wait_for(lambda: [pid for pid in w.pids() if w.command_of(pid)[:2] == ['dmctl', 'top']], 'top runs')[0]
            os.kill(pid, number)
            _same_terminal(screen)


def stops_and_goes_on(w):
    """Ctrl-Z gives the terminal back and stops top; fg takes it again."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        screen.command('set -m; stty -g > before').wait('ready$')
        screen.command('dmctl top --interval=0.2').wait('dmctl top:', 'david/blog')
        screen.type('C-z').wait('ready$', gone=['q quit'])
        screen.command('stty -g > after; cmp before after && echo the same').wait('the same')
        screen.command('fg').wait('dmctl top:', 'david/blog', 'q quit')
        screen.type('q')
        _same_terminal(screen)


def outlives_the_manager(w):
    """While there is no manager top says so and keeps what it knew; when one is there again it goes on."""
    _three(w)
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        _top(screen)
        w.manager.kill()
        w.manager.wait()
        screen.wait('the manager is not running; waiting for it', 'david/wiki')
        screen.type('s').wait('the manager is not running')
        w.start()
        screen.wait('dmctl top: 3 of 4 run', 'david/wiki')
        screen.type('q')
        _same_terminal(screen)


def needs_a_terminal(w):
    """top in a pipe is exit 2 and says what does the same once; it takes ids, patterns and -u, and shows what is wrong with them."""
    _three(w)
    w.dmctl('david', 'top').exits(2).says('top needs a terminal', 'dmctl status -l')
    w.dmctl('david', 'top', '--json').exits(2)
    with tmux.Tmux(w, 'root', 80, 24) as screen:
        screen.command('dmctl top -u david "[bs]*"').wait('david/blog', 'david/shop', '2 of 2 run', gone=['david/wiki'])
        screen.type('q').wait('ready$')
        screen.command('dmctl top david/nobody').wait("david/nobody: no daemon 'david/nobody'")
        screen.type('q').wait('ready$')


def hostile_bytes(w):
    """What daemons say of themselves and what their processes are called reaches the screen escaped."""
    w.conf('david', 'liar', 'dir=/\nready=notify\nstart=' + w.script('/tmp/liar', '#!/usr/bin/python3\n'
           'import os, socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n'
           's.sendto(b"READY=1\\nSTATUS=\\x1b[2Jgone\\x1b]0;title\\x07", os.environ["NOTIFY_SOCKET"])\ntime.sleep(6010)\n') + '\n')
    w.start()
    w.up('david/liar')
    w.wait_note('gone', user='david')
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        screen.command('dmctl top --interval=0.2').wait('david/liar', '\\x1b[2Jgone\\x1b]0;title\\x07', 'q quit')
        screen.type('q').wait('ready$')
    said = terminal.Terminal(w, 'david', world.DMCTL, 'status', 'liar', '--color=never').ends(0)
    assert '\x1b' not in said and '\\x1b[2Jgone' in said, said
