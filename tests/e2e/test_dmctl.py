"""dmctl: verbs, orders of words, exit codes, and what it prints."""
import os
import re
import signal

import world

SLEEPS = (('one', 1001), ('two', 1002), ('three', 1003))


def status_columns(w):
    """status, and dmctl alone, print the columns, and one line for each daemon, times as 3s."""
    w.up_sleepers(SLEEPS)
    for arguments in ((), ('status',)):
        answer = w.dmctl('david', *arguments).exits(0)
        lines = answer.out.splitlines()
        assert lines[0].split() == ['daemon-id', 'state', 'pid', 'respawns', 'cooldown', 'uptime', 'total'], lines
        assert len(lines) == 4, lines
        for line in lines[1:]:
            assert re.fullmatch(r'david/\w+ +running +\d+ +0 +0s +\d+s +\d+s', line), line


def status_of_some(w):
    """status of ids prints these only; exit 3 when one of them does not run."""
    w.up_sleepers(SLEEPS)
    assert set(w.rows('david', 'one', 'david/two')) == {'david/one', 'david/two'}
    w.dmctl('david', 'status', 'one').exits(0)
    w.dmctl('david', 'stop', 'two').exits(0)
    w.dmctl('david', 'status', 'one').exits(0)
    w.dmctl('david', 'status', 'two').exits(3)
    w.dmctl('david', 'status', 'one', 'two').exits(3)
    w.dmctl('david', 'status').exits(0)


def both_orders(w):
    """`dmctl one stop` and `dmctl stop one` do the same."""
    w.up_sleepers(SLEEPS)
    w.dmctl('david', 'one', 'stop').exits(0)
    assert w.row('david/one').state == 'stopped'
    w.dmctl('david', 'one', 'start').exits(0)
    assert w.row('david/one').state == 'running'
    w.dmctl('david', 'david/one', 'stop').exits(0)
    w.dmctl('david', 'start', 'david/one').exits(0)
    assert w.row('david/one').state == 'running'


def several_ids(w):
    """A verb takes several ids, and reports each."""
    w.up_sleepers(SLEEPS)
    answer = w.dmctl('david', 'stop', 'one', 'three').exits(0)
    answer.says('david/one', 'david/three')
    states = {name: row.state for name, row in w.rows().items()}
    assert states == {'david/one': 'stopped', 'david/two': 'running', 'david/three': 'stopped'}, states


def several_with_one_unknown(w):
    """With one unknown id among several, the others are done, and the exit code tells of it."""
    w.up_sleepers(SLEEPS)
    w.dmctl('david', 'stop', 'one', 'nosuch', 'two').exits(5).says('nosuch')
    assert {row.state for row in (w.row('david/one'), w.row('david/two'))} == {'stopped'}


def all_of_them(w):
    """`all` means all daemons of those one may control, and no others."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1004\n')
    w.up_sleepers(SLEEPS)
    radio = w.up('amy/radio')
    w.dmctl('david', 'stop', 'all').exits(0)
    assert not any(w.find(f'sleep {number}') for _, number in SLEEPS)
    assert w.up('amy/radio') == radio
    w.dmctl('david', 'all', 'start').exits(0)
    for name, _ in SLEEPS:
        assert w.row('david/' + name).state == 'running'
    assert w.up('amy/radio') == radio


def pid_of_one(w):
    """pid prints the pid and nothing else; exit 3 where it does not run."""
    w.up_sleepers(SLEEPS)
    answer = w.dmctl('david', 'pid', 'two').exits(0)
    assert answer.out == f'{w.find("sleep 1002")[0]}\n' and not answer.err, repr(answer)
    w.dmctl('david', 'stop', 'two').exits(0)
    answer = w.dmctl('david', 'pid', 'two').exits(3)
    assert not answer.out


def kill_sends_a_signal(w):
    """kill sends the signal that it is given, by name or number, to the main process alone."""
    w.script('/srv/trap', '#!/bin/sh\ntrap "echo HUP >> /tmp/got" HUP\ntrap "echo USR1 >> /tmp/got" USR1\n'
                          'touch /tmp/ready\nwhile :; do sleep 0.05; done\n')
    w.conf('david', 'web', 'dir=/\nstart=/srv/trap\n')
    w.start()
    pid = w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'the traps are set')
    def got():
        if not os.path.exists('/tmp/got'):
            return []
        with open('/tmp/got') as words:
            return words.read().split()
    wanted = []
    for arguments, word in ((('kill', 'HUP', 'web'), 'HUP'), (('web', 'kill', '-USR1'), 'USR1'),
                            (('kill', '-s', 'SIGHUP', 'web'), 'HUP'), (('kill', '-10', 'web'), 'USR1')):
        wanted.append(word)
        w.dmctl('david', *arguments).exits(0)
        world.wait_for(lambda: got() == wanted, lambda: f'{wanted}, not {got()}')
    assert w.up('david/web') == pid


def kill_is_a_crash(w):
    """A daemon that kill -KILL ended comes back, for it was not stopped."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    pid = w.up('david/web')
    w.dmctl('david', 'kill', 'KILL', 'web').exits(0)
    world.wait_for(lambda: w.row('david/web').pid not in (0, pid), 'it is back')


def unknown_daemon(w):
    """An unknown name is exit 5, and the answer says what there is."""
    w.up_sleepers(SLEEPS)
    for verb in ('start', 'stop', 'restart', 'pid', 'kill', 'status', 'log'):
        w.dmctl('david', verb, 'nosuch').exits(5).says('nosuch')


def usage(w):
    """What dmctl does not understand is exit 2."""
    w.up_sleepers(SLEEPS)
    for arguments in (('frobnicate', 'one'), ('start',), ('stop', '--frobnicate', 'one'), ('one',), ('kill', 'NOSIGNAL-x', '-s', 'FOO', 'one')):
        w.dmctl('david', *arguments).exits(2)
    for name, _ in SLEEPS:
        assert w.row('david/' + name).state == 'running'


def ambiguous_name(w):
    """A name that several owners have is listed, and nothing is done; one's own daemon goes first."""
    for user in ('david', 'amy'):
        w.conf(user, 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n[manages]\nhelpdesk: david, amy\namy: david\n')
    pids = {user: w.up(f'{user}/web') for user in ('david', 'amy')}
    w.dmctl('helpdesk', 'stop', 'web').exits(2).says('david/web', 'amy/web')
    assert {user: w.up(f'{user}/web') for user in ('david', 'amy')} == pids
    w.dmctl('amy', 'stop', 'web').exits(0)
    assert w.row('amy/web').state == 'stopped' and w.up('david/web') == pids['david']
    w.dmctl('helpdesk', 'stop', 'david/web').exits(0)
    assert w.row('david/web').state == 'stopped'


def no_manager(w):
    """Without a manager every verb is exit 7, with the path that was tried and how to start it."""
    for arguments in ((), ('status',), ('start', 'web'), ('rescan',), ('reset-failed', 'web'), ('is-active', 'web'), ('cat', 'w*'),
                      ('kill', 'web', 'HUP'), ('stop', '-q', 'web')):
        w.dmctl('david', *arguments).exits(7).says('/home/david/.daemon-manager/command.sock', 'daemon-manager')
    w.dmctl('root', 'status').exits(7).says('/run/daemon-manager/root.sock')
    version = w.dmctl('david', 'version').exits(7)
    assert version.out.startswith('dmctl ') and version.out.count('\n') == 1, version


def manager_killed(w):
    """After the manager was killed dmctl says exit 7, in no more than some seconds."""
    w.up_sleepers(SLEEPS)
    w.stop(signal.SIGKILL)
    w.dmctl('david', 'status', timeout=15).exits(7)


def waits_for_the_result(w):
    """start of what ends at once is exit 1 with the reason, and --no-wait is exit 0."""
    w.conf('david', 'bad', 'dir=/\nautostart=no\nstart=/srv/nosuch\n')
    w.start()
    w.wait_state('david/bad', 'stopped')
    w.dmctl('david', 'start', 'bad').exits(1).says('/srv/nosuch')
    w.dmctl('david', 'stop', 'bad').exits(0)
    w.dmctl('david', 'start', '--no-wait', 'bad').exits(0)


def version_and_help(w):
    """version tells both versions; help names every verb, and needs no manager."""
    for verb in ('status', 'start', 'stop', 'restart', 'kill', 'pid', 'log', 'tail', 'list', 'rescan', 'version'):
        w.dmctl('david', 'help').exits(0).says(verb)
    w.start()
    answer = w.dmctl('root', 'version').exits(0)
    assert len(re.findall(r'\d+\.\d+', answer.out)) == 2, repr(answer)


def list_prints_ids(w):
    """list prints the ids, one a line."""
    w.up_sleepers(SLEEPS)
    assert w.dmctl('david', 'list').exits(0).out.split() == ['david/one', 'david/three', 'david/two']


def escapes(w):
    """Bytes that a user chose reach a terminal only escaped."""
    w.conf('david', 'bad', 'dir=/\nstart=/srv/no\x1b]0;title\x07such\nwrong\x1b[2J=1\n')
    w.start('[runs_as]\ndavid\n[manages]\nhelpdesk: david\n')
    w.wait_note('david/bad')
    for user in ('david', 'helpdesk', 'root'):
        for arguments in (('status',), ('start', 'david/bad'), ('rescan',)):
            said = w.dmctl(user, *arguments).text
            assert '\x1b' not in said and '\x07' not in said, repr(said)


def escapes_of_the_command_line(w):
    """What stands on dmctl's own command line is escaped too."""
    w.up_sleepers(SLEEPS)
    answer = w.dmctl('david', 'stop', 'no\x1b[2Jsuch').exits(5)
    assert '\x1b' not in answer.text


def of_one_user(w):
    """-u USER limits a verb to the daemons of one user."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1004\n')
    w.up_sleepers(SLEEPS)
    w.up('amy/radio')
    answer = w.dmctl('root', 'status', '-u', 'amy').exits(0)
    assert 'amy/radio' in answer.out and 'david' not in answer.out, repr(answer)


def closed_stdout(w):
    """A list that cannot be written is an error, not a short list."""
    w.up_sleepers(SLEEPS)
    answer = w.run('david', 'sh', '-c', 'dmctl status > /dev/full')
    assert answer.code != 0 and answer.err, repr(answer)


def thousand_lines(w):
    """status of a thousand daemons is complete, into a pipe that is read slowly."""
    for i in range(1000):
        w.conf('david', f'd{i}', 'dir=/\nautostart=no\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n[limits]\ndavid: daemons=1000\n')
    world.wait_for(lambda: len(w.rows()) == 1000, 'all are known')
    answer = w.run('david', 'sh', '-c', 'dmctl status | (sleep 1; wc -l)')
    assert answer.out.split() == ['1001'], repr(answer)


def no_id(w):
    """What cannot be an id is a usage error that says how ids look."""
    w.up_sleepers([('web', 1001)])
    for word in ('a/b/c', 'david/', '/web', 'david//web'):
        w.dmctl('david', 'stop', word).exits(2).says('NAME or OWNER/NAME')
    w.dmctl('david', 'stop', 'amy/web').exits(4)
    w.up('david/web')
