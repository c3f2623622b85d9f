"""What `dmctl log` and `tail` show: of several daemons, from a time on, what matches, and as it is."""
import json
import os
import re
import signal
import time

import world

STAMP = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z'


def _printer(w, name, words, user='david'):
    w.conf(user, name, f'dir=/\noutput=log\nstart=printf "{words}"; exec sleep 1001\n')


def _shown(w, user, *arguments):
    return w.dmctl(user, 'log', *arguments)


def several(w):
    """Several logs are shown one after the other, each line behind the name of its daemon, also where but one of them has a log; one that is
    named and has none, or is not there, does not hide the others, but the exit code tells. One that a pattern chose is left out. Root reads
    those of several users."""
    _printer(w, 'web', 'one\\ntwo\\n')
    _printer(w, 'radio', 'music\\n')
    _printer(w, 'radio', 'noise\\n', 'amy')
    w.conf('david', 'quiet', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n')
    for name in ('david/web', 'david/radio', 'amy/radio'):
        world.wait_for(lambda: len(_shown(w, name.split('/')[0], name.split('/')[1]).out.splitlines()) >= 2, f'{name} has printed')
    text = _shown(w, 'david', 'web', 'radio').exits(0).out
    assert re.search(rf'^david/web   \| {STAMP} one\ndavid/web   \| {STAMP} two$', text, re.M), text
    assert re.search(rf'^david/radio \| {STAMP} music$', text, re.M) and text.index('two') < text.index('music'), text
    answer = _shown(w, 'david', 'web', 'quiet', 'nobody')
    answer.exits(5).says('quiet', 'output=log', 'nobody')
    assert re.search(rf'^david/web \| {STAMP} two$', answer.out, re.M), answer
    for words in (('all',), ('david/*',), ('*', 'all')):
        answer = _shown(w, 'david', *words).exits(0)
        assert not answer.err and re.search(rf'^david/web   \| {STAMP} two$', answer.out, re.M) and 'music' in answer.out, answer
    answer = _shown(w, 'david', 'qu*', 'w*').exits(0)
    assert not answer.err and re.search(rf'^david/web \| {STAMP} two$', answer.out, re.M), answer
    _shown(w, 'david', 'all', 'quiet').exits(1).says('david/quiet: it has no log')
    _shown(w, 'david', 'q*').exits(1).says('not one of these has a log', 'output=log')
    assert ' | ' not in _shown(w, 'david', 'w*').exits(0).out
    text = _shown(w, 'root', 'david/web', 'amy/radio').exits(0).out
    assert re.search(rf'^david/web \| {STAMP} two$', text, re.M) and re.search(rf'^amy/radio \| {STAMP} noise$', text, re.M), text


def _chosen(w, more):
    w.conf('david', 'web', f'dir=/\noutput=log\nlog_size=4K\nlog_keep=100\n{more}start=/srv/lines\n')
    w.script('/srv/lines', '#!/bin/sh\ni=0\nwhile test $i -lt 400; do i=$((i + 1)); echo "line $i of the first"; done\n'
                           'while ! test -e /tmp/go; do sleep 0.05; done\necho the second; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'line 400 ' in w.dmctl('david', 'log', 'web', '-n', '5').out, 'the first have come')
    w.run('david', 'sleep', '0.1')
    open('/tmp/go', 'w').close()
    world.wait_for(lambda: 'the second' in w.dmctl('david', 'log', 'web', '-n', '5').out, 'the second has come')
    assert len(os.listdir('/home/david/.daemon-manager/logs')) > 1
    if more:
        world.wait_for(lambda: any(name.endswith('.gz') for name in os.listdir('/home/david/.daemon-manager/logs')), 'old logs are compressed')
    all_of_them = _shown(w, 'david', 'web', '--since', '1h').exits(0).out
    assert all_of_them.count('of the first') == 400 and all_of_them.count('the second') == 1
    stamp = re.search(rf'({STAMP}) the second', all_of_them).group(1)
    assert _shown(w, 'david', 'web', f'--since={stamp}').exits(0).out == f'{stamp} the second\n'
    until = _shown(w, 'david', 'web', '--until', stamp).exits(0).out
    assert until == all_of_them
    lines = all_of_them.splitlines(keepends=True)
    for number in (0, 1, 150, 399):
        last = lines[number].split(' ')[0]
        wanted = [line for line in lines if line.split(' ')[0] <= last]
        assert _shown(w, 'david', 'web', f'--until={last}').exits(0).out == ''.join(wanted), last
        for some in (1, 7, 250):
            assert w.dmctl('david', 'tail', '--until', last, '-n', str(some), 'web').exits(0).out == ''.join(wanted[-some:]), (last, some)
        since = lines[number // 2].split(' ')[0]
        assert _shown(w, 'david', 'web', '--until', last, '--since', since).exits(0).out == ''.join(line for line in wanted if line.split(' ')[0] >= since)
    assert _shown(w, 'david', 'web', '--until', '2100-01-01').exits(0).out == all_of_them  # to come
    assert _shown(w, 'david', 'web', '--until', '1h').exits(0).out == ''
    _shown(w, 'david', 'web', '--since', '1m', '--until', '2m').exits(2).says("--until '2m' is before --since")
    _shown(w, 'david', 'web', '--until', 'soon').exits(2).says("--until 'soon' is no time")
    _shown(w, 'david', 'web', '-f', '--until', '1m').exits(2).says('--until ends what --follow goes on with')
    records = [json.loads(line) for line in _shown(w, 'david', 'web', '--json', '--until', lines[2].split(' ')[0]).exits(0).out.splitlines()]
    assert records[-1]['exit'] == 0 and [it['text'] for it in records[1:3]] == ['line 1 of the first', 'line 2 of the first'], records[:4]
    for when, why in (('2100-01-01', 'is in the future'), ('2026-13-40', 'is no time'), ('25:00', 'is no time')):
        _shown(w, 'david', 'web', '--since', when).exits(2).says(f"--since '{when}' {why}")
    # A time of the day that is still to come was yesterday.
    soon = time.strftime('%H:%M', time.gmtime(time.time() + 120))
    assert _shown(w, 'david', 'web', '--since', soon).exits(0).out.count('of the first') == 400
    found = _shown(w, 'david', 'web', '--since', '1h', '--grep', 'line (7|40)0? ').exits(0).out
    assert [int(n) for n in re.findall(r'line (\d+)', found)] == [7, 40, 70, 400], found
    # (tail is the same, but for what it does where nothing is said.)
    w.dmctl('david', 'tail', 'web', '--since', stamp).exits(0).says('the second')
    assert w.dmctl('david', 'tail', 'web', '--grep', 'second', '-o', 'raw').exits(0).out == f'{stamp} the second\n'
    assert w.dmctl('david', 'log', '--no-follow', 'web', '-n', '1').exits(0).out == f'{stamp} the second\n'
    follower = w.background('david', world.DMCTL, 'tail', '-f', 'web')
    assert any('the second' in follower.stdout.readline() for _ in range(20)) and follower.poll() is None
    follower.kill()
    follower.wait()
    _shown(w, 'david', 'web', '--grep', '(').exits(2).says('--grep', 'no regular expression')
    _shown(w, 'david', 'web', '--since', 'soon').exits(2).says("--since 'soon'", '10m')
    w.dmctl('david', 'stop', '--grep', 'x', 'web').exits(2).says('only log and tail')


def chosen(w):
    """--grep shows the lines that match, --since those from a time on, --until those up to one, also out of old logs; what is no expression
    or no time is told with what would be one."""
    _chosen(w, '')


def chosen_of_packed(w):
    """So they do where the old logs are compressed."""
    _chosen(w, 'log_compress=yes\n')


def without_times(w):
    """--since, or --until, of a log whose lines bear no time is refused with the reason."""
    w.conf('david', 'web', 'dir=/\noutput=log\nlog_stamp=none\nstart=echo hello; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'hello' in _shown(w, 'david', 'web').out, 'it has printed')
    for option in ('--since', '--until'):
        _shown(w, 'david', 'web', option, '1h').exits(1).says('log_stamp=none', f'leave out {option}')


def followed_together(w):
    """`log -f` of two daemons shows what both print, each line whole behind its name, until it is interrupted."""
    for name in ('left', 'right'):
        w.conf('david', name, f'dir=/\noutput=log\nstart=i=0; while i=$((i + 1)); do echo {name} $i; sleep 0.02; done\n')
    w.start()
    w.up('david/left')
    w.up('david/right')
    for name in ('left', 'right'):
        world.wait_for(lambda: f'{name} 3' in _shown(w, 'david', name).out, 'it prints')
    follow = w.background('david', world.DMCTL, 'log', '-f', '-n', '1', 'left', 'right')
    text = ''
    while not (re.search(r'right 1\d\d', text) and re.search(r'left 1\d\d', text)):
        text += follow.stdout.readline()
    follow.send_signal(signal.SIGINT)
    follow.wait()
    for name, width in (('left', 'david/left '), ('right', 'david/right')):
        numbers = [int(n) for n in re.findall(rf'^{width} \| {STAMP} {name} (\d+)$', text, re.M)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 50, numbers


def raw(w):
    """-o raw writes the bytes of the log as they are, to a terminal too, where they are escaped otherwise."""
    _printer(w, 'web', 'a\\033[31mred\\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'red' in _shown(w, 'david', 'web').out, 'it has printed')
    inside = ['script', '-qec', f'{world.DMCTL} log web', '/dev/null']
    assert '\\x1b[31mred' in w.run('david', *inside).out
    inside[2] += ' -o raw'
    assert 'a\x1b[31mred' in w.run('david', *inside).out
    _shown(w, 'david', 'web', '-o', 'json').exits(2).says('raw')


def without_a_manager(w):
    """One's own logs are read without a manager too, from where the confs say that they are, and that there is none is said; others, and
    patterns, are for the manager to know."""
    os.mkdir('/tmp/logs')
    os.chown('/tmp/logs', 1000, 1000)
    for name, output in (('web', 'log'), ('out', 'file:/tmp/logs/%n.log'), ('quiet', 'discard')):
        w.conf('david', name, f'dir=/\noutput={output}\nstart=echo hello of {name}; exec sleep 1001\n')
    w.conf('david', 'team', 'dir=/\ninstances=2\noutput=log\nstart=echo member %i; exec sleep 1001\n')
    w.start()
    for name in ('web', 'out', 'team:1', 'team:2'):
        world.wait_for(lambda: len(_shown(w, 'david', name).out.splitlines()) >= 2, f'{name} has printed')
    w.stop()
    for name, words in (('web', 'hello of web'), ('david/out', 'hello of out'), ('team:2', 'member 2')):
        answer = _shown(w, 'david', name).exits(0).says('note: the manager does not run')
        assert words in answer.out and ' | ' not in answer.out, answer
    answer = _shown(w, 'david', 'team').exits(0)
    assert re.search(r'^david/team:1 \| .*member 1$', answer.out, re.M) and re.search(r'^david/team:2 \| .*member 2$', answer.out, re.M), answer
    assert 'hello of web' in w.dmctl('david', 'tail', 'web', '--json').exits(0).out
    _shown(w, 'david', 'quiet').exits(1).says('david/quiet: it has no log')
    for words in (('all',), ('web', 'amy/web')):
        assert not _shown(w, 'david', *words).exits(7).says('the manager is not running').out
