"""status: a table of the terminal's width and colours, pages of daemons that are named, --watch; and plain in a pipe."""
import os
import re

import schema
import terminal
import tmux
import world

SLEEP = 'dir=/\noutput=discard\nstart=sleep {}\n'
CRASHER = 'dir=/\noutput=log\nstart=seq 11 18; echo last words; exit 3\n'


def _some(w):
    w.conf('david', 'web', SLEEP.format(5001))
    w.conf('david', 'idle', SLEEP.format(5002) + 'autostart=no\n')
    w.conf('david', 'bad', 'dir=/nowhere/that/anybody/has/ever/been/to\nstart=sleep 5003\n')
    w.start()
    w.up('david/web')
    w.wait_note('cannot enter', user='david')


def plain_in_a_pipe(w):
    """Where it is read by a program, status prints the table of seven columns, with named ones and NO_COLOR or not, and no escape."""
    _some(w)
    for words in ((), ('web',), ('web', 'bad'), ('all',)):
        answer = w.dmctl('david', 'status', *words)
        lines = answer.out.splitlines()
        assert lines[0].split() == ['daemon-id', 'state', 'pid', 'respawns', 'cooldown', 'uptime', 'total'], repr(answer)
        assert '\x1b' not in answer.out and '\u25cf' not in answer.out, repr(answer)
    note = next(line for line in w.dmctl('david', 'status', 'bad').out.splitlines() if line.startswith('  david/bad: '))
    assert 'correct dir= in /home/david/.daemon-manager/daemons/bad.conf' in note, note  # in one line, however long


def fits_the_terminal(w):
    """On a terminal the table leaves columns out and the notes are wrapped, so that no line is wider than it, at 200, 80 and 40 columns."""
    _some(w)
    for columns, rows in ((200, 50), (80, 24), (40, 24), (24, 24)):
        with tmux.Tmux(w, 'david', columns, rows) as screen:
            lines = screen.command('dmctl status -l; echo the end').wait('the end', 'david/web')
            table = [line for line in lines if re.match(r'david/\S+ +(running|stopped|cooldown|starting|failed)', line)]
            assert len(table) == 3, lines
            titles = next(line for line in lines if line.startswith('daemon-id'))
            assert ('total' in titles) == (columns >= 80) and ('memory' in titles) == (columns > 24), lines
            assert lines.index(titles) + 4 < len(lines) and 'david/bad: ' in '\n'.join(lines), lines
            note = [line for line in lines if 'nowhere' in line or 'ever' in line]
            assert note and all(line.startswith('  ') for line in note), lines
            # A line that was too long would have been broken at the edge, and begin at the first column.
            strange = [line for line in lines if line and not line.startswith(('daemon-id', 'david/', '  ', 'the end', 'ready$', '$', 'dmctl'))]
            assert not strange, strange


def colours(w):
    """States have colours on a terminal, and with --color=always in a pipe; --color=never, NO_COLOR and TERM=dumb leave them out."""
    _some(w)
    green, red_or_yellow = '\x1b[32mrunning\x1b[0m', ('\x1b[33mcooldown\x1b[0m', '\x1b[33mstarting\x1b[0m')
    assert green in terminal.Terminal(w, 'david', world.DMCTL, 'status').ends(0)
    said = terminal.Terminal(w, 'david', world.DMCTL, '--color=auto').ends(0)
    assert green in said and any(shade in said for shade in red_or_yellow), said
    for words, environment in ((('--color=never',), {}), ((), {'NO_COLOR': '1'}), ((), {'TERM': 'dumb'}), (('web', '--color', 'never'), {})):
        assert '\x1b' not in terminal.Terminal(w, 'david', world.DMCTL, 'status', *words, **environment).ends(0), (words, environment)
    assert green in terminal.Terminal(w, 'david', world.DMCTL, 'status', NO_COLOR='').ends(0)  # empty counts as not set
    assert green in w.dmctl('david', 'status', '--color=always').out
    assert '\x1b' not in w.dmctl('david', 'status', '--color=auto').out
    w.dmctl('david', 'status', '--color=pink').exits(2).says('expected auto, always or never')


def page_of_one(w):
    """status ID on a terminal, and with -l anywhere, is a page: conf, command, target, processes, memory, CPU, descriptors, log, last lines."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo caf\u00e9; sleep 5010 & exec sleep 5011\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'caf\u00e9' in w.dmctl('david', 'log', 'web').out and w.find('sleep 5010'), 'it has spoken')
    pid = w.dmctl('david', 'pid', 'web').exits(0).out.strip()
    child = str(w.find('sleep 5010')[0])
    said = terminal.Terminal(w, 'david', world.DMCTL, 'status', 'web', '--color=never').ends(0)
    for words in ('\u25cf david/web: running for ', ' as david\n', f'conf: {w.conf_path("david", "web")}\n', 'command: echo caf\u00e9; sleep 5010 & exec sleep 5011\n',
                  'starts: with the manager\n', 'respawns: 0\n', f'processes: {pid} sleep 5011\n', f'\u2514\u2500{child} sleep 5010\n',
                  'log: /home/david/.daemon-manager/logs/web.log\n'):
        assert words in said, (words, said)
    assert re.search(r'memory: [0-9.]+[BKM]\n', said) and re.search(r'cpu: [0-9.]+s\n', said) and re.search(r'descriptors: \d+ of \d+\n', said), said
    assert said.rstrip('\n').endswith('Z caf\u00e9'), said
    assert 'changed on disk' not in said
    piped = w.dmctl('david', 'status', '-l', 'web').exits(0).out
    assert f'processes: {pid} sleep 5011\n' in piped and '\x1b' not in piped, piped
    several = terminal.Terminal(w, 'root', world.DMCTL, 'status', 'david/web', 'david/web:1').ends(5)
    assert 'conf: ' in several, several
    table = terminal.Terminal(w, 'david', world.DMCTL, 'status', 'we*').ends(0)
    assert 'daemon-id' in table and 'conf: ' not in table, table


def page_without_a_log(w):
    """The page of a daemon whose output goes nowhere says how it is kept."""
    w.conf('david', 'mute', 'dir=/\nstart=exit 3\n')
    w.start()
    w.wait_state('david/mute', 'cooldown')
    w.dmctl('david', 'status', '-l', 'mute').says('log: none; output=log in its conf keeps what it says')


def page_of_one_that_crashed(w):
    """status ID of one that crashed tells how it ended and when it starts next, and ends with the last five lines of its log."""
    w.conf('david', 'crasher', CRASHER)
    w.start()
    w.wait_state('david/crasher', 'cooldown')
    def page():  # (in its cooldown: it runs again now and then)
        said = w.dmctl('david', 'status', '-l', 'crasher')
        return said.out if said.code == 3 and 'exited with code 3' in said.out.rstrip('\n').splitlines()[-1] else None
    said = world.wait_for(page, 'the log tells of its end')
    assert re.search(r'last exit: exit code 3, \S+ ago, after \S+\n', said), said
    last = said.rstrip('\n').splitlines()[-6:]
    assert 'log: ' in last[0] and last[1].endswith('Z 16') and last[4].endswith('last words') and 'exited with code 3' in last[5], said
    root = w.dmctl('root', 'status', '-l', 'david/crasher').out
    assert 'last words' in root, root  # borrowed
    world.wait_for(lambda: re.search(r'last exit: .*\n +before it: ended with exit code 3 after \S+, \S+ ago\n', w.dmctl('david', 'status', '-l', 'crasher').out),
                   'those before it are told, too')
    w.conf('david', 'crasher', SLEEP.format(5077))
    w.dmctl('david', 'restart', 'crasher').exits(0)
    said = w.dmctl('david', 'status', '-l', 'crasher').exits(0).out
    assert re.search(r'last exits: ended with exit code 3 after \S+, \S+ ago\n +ended with', said), said


def conf_changed(w):
    """A page says that the conf was changed on disk since the daemon was started, before and after a rescan, until it is restarted."""
    w.conf('david', 'web', SLEEP.format(5001))
    w.start()
    w.up('david/web')
    def says():
        return 'changed on disk since it was started; dmctl restart david/web' in w.dmctl('david', 'status', '-l', 'web').exits(0).out
    assert not says()
    w.conf('david', 'web', SLEEP.format(5004))
    assert says()
    w.rescan('david')
    assert says()
    assert schema.ask(w, 'david', 'status', '-l', 'web')['daemons'][0]['conf_changed']
    w.dmctl('david', 'restart', 'web').exits(0)
    assert not says()


def not_shown_to_managers(w):
    """Who manages another's daemons sees their pages and the last lines of their logs, but not the command of a conf, nor descriptors."""
    w.conf('david', 'web', 'dir=/\noutput=log\nstart=echo secret-word; exec sleep 5001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'secret-word' in w.dmctl('david', 'log', 'web').out, 'it has spoken')
    said = w.dmctl('helpdesk', 'status', '-l', 'david/web').exits(0).out
    assert 'command: not shown to you' in said and said.endswith('Z secret-word\n') and said.count('secret-word') == 1, said
    assert 'descriptors: not shown to you' in said, said
    document = schema.ask(w, 'helpdesk', 'status', '-l', 'david/web')['daemons'][0]
    assert document['command'] is None and document['last_lines'][-1].endswith('secret-word') and document['descriptors'] is None, document
    own = schema.ask(w, 'root', 'status', '-l', 'david/web')['daemons'][0]
    assert own['command'] == 'echo secret-word; exec sleep 5001' and own['last_lines'][-1].endswith('secret-word'), own
    assert [process['pid'] for process in own['processes']] == [own['pid']] and own['descriptors'] > 0, own


def hidden_by_hidepid(w):
    """Where /proc hides other users' processes, the page says so instead of a tree, and the table shows question marks."""
    w.conf('david', 'site', 'dir=/\nuser=www-data\noutput=discard\nstart=sleep 5001\n')
    w.conf('david', 'web', SLEEP.format(5002))
    w.start('[runs_as]\ndavid: david, www-data\n')
    w.up('david/site')
    w.up('david/web')
    world.mount('-o', 'remount,hidepid=2', '/proc')
    try:
        site = w.dmctl('david', 'status', '-l', 'site').exits(0).out
        pid = w.dmctl('david', 'pid', 'site').exits(0).out.strip()
        assert f'processes: not shown to you; its main one is {pid}\n' in site and 'memory: not shown to you\n' in site, site
        web = w.dmctl('david', 'status', '-l', 'web').exits(0).out
        assert 'sleep 5002\n' in web and 'memory: not shown' not in web, web
        row = next(line for line in w.dmctl('david', 'status', '-l').exits(0).out.splitlines() if line.startswith('david/site')).split()
        assert row[3:5] == ['?', '?'], row
    finally:
        world.mount('-o', 'remount,hidepid=0', '/proc')


def sorted_as_asked(w):
    """--sort=COLUMN sorts the table, names first where it is not given; a column that there is none is exit 2."""
    _some(w)
    def order(*words):
        return re.findall(r'^(david/\w+) ', w.dmctl('david', 'status', *words).exits(0).out, re.M)
    assert order() == order('--sort=name') == ['david/bad', 'david/idle', 'david/web']
    assert order('--sort', 'uptime')[0] == order('--sort=memory')[0] == 'david/web' and sorted(order('--sort=cpu', '-l')) == order()
    assert order('--sort=state')[-1] == 'david/idle'
    assert order('--sort=respawns')[0] == 'david/bad'
    w.dmctl('david', 'status', '--sort=weight').exits(2).says('expected name, state, cpu, memory, uptime or respawns')
    w.dmctl('david', 'list', '--sort=name').exits(2).says('list takes no --sort; only status and top do')


def watched(w):
    """status --watch shows the table again and again, follows changes, goes on over a restart of the manager, and q gives the terminal back."""
    _some(w)
    w.dmctl('david', 'status', '-w').exits(2).says('--watch needs a terminal')
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        screen.command('stty -g > before; dmctl status -w --interval=0.2').wait('david/idle', 'q quits', gone=['ready$'])
        w.dmctl('david', 'start', 'idle').exits(0)
        world.wait_for(lambda: re.search(r'david/idle +running', '\n'.join(screen.lines())), 'it is shown as running')
        w.manager.kill()
        w.manager.wait()
        screen.wait('the manager is not running', 'david/web')
        w.start()
        screen.wait('q quits', 'david/web', gone=['not running'])
        screen.resize(60, 10).wait('david/web', 'q quits')
        screen.type('q').wait('ready$')
        screen.command('stty -g > after; cmp before after && echo same').wait('same')
        screen.command('dmctl status web --watch --interval=0.2').wait('conf: /home/david', 'processes: ')
        screen.type('C-c').wait('ready$')


def under_empty_environment(w):
    """status and its page work under env -i, with marks of ASCII."""
    _some(w)
    said = w.run('david', 'env', '-i', world.DMCTL, 'status', '-l', 'web').exits(0).out
    assert said.startswith('* david/web: running') and 'processes: ' in said, said
    assert w.run('david', 'env', '-i', world.DMCTL).exits(0).out.startswith('daemon-id')


def who_stopped_it(w):
    """The page of one that was stopped says by whom."""
    _some(w)
    w.dmctl('helpdesk', 'stop', 'david/web').exits(0)
    said = w.dmctl('david', 'status', '-l', 'web').out
    assert re.search(r'last exit: stopped by helpdesk after \S+ \(SIGTERM\), \S+ ago\n', said), said
