"""dmctl: other names of verbs, patterns, near misses, quiet, is-active, reset-failed, and where kill takes its signal."""
import os

import world

SLEEPS = (('wp-blog', 1001), ('wp-shop', 1002), ('bot', 1003))
ALIASES = (('ls', 'list'), ('ps', 'status'), ('show', 'status'), ('logs', 'log'), ('signal', 'kill'), ('reread', 'rescan'),
           ('update', 'rescan'), ('daemon-reload', 'rescan'))


def _three(w, config=None):
    for name, number in SLEEPS:
        w.conf('david', name, f'dir=/\nstart=sleep {number}\n')
    w.start(config)
    for name, _ in SLEEPS:
        w.up('david/' + name)


def _states(w):
    return {name: row.state for name, row in w.rows().items()}


def other_names(w):
    """ls, ps, show, logs, signal, reread, update and daemon-reload do what list, status, log, kill and rescan do, and help tells so."""
    w.conf('david', 'talker', 'dir=/\noutput=log\nstart=echo hello; exec sleep 1004\n')
    _three(w)
    w.up('david/talker')
    world.wait_for(lambda: 'hello' in w.dmctl('david', 'log', 'talker').out, 'it has spoken')
    assert w.dmctl('david', 'ls').exits(0).out == w.dmctl('david', 'list').out
    for verb in ('ps', 'show'):
        answer = w.dmctl('david', verb, 'bot').exits(0).says('daemon-id', 'david/bot')
        assert len(answer.out.splitlines()) == 2, repr(answer)
    assert w.dmctl('david', 'logs', 'talker').exits(0).out == w.dmctl('david', 'log', 'talker').out
    w.dmctl('david', 'bot', 'signal', 'CONT').exits(0).says('signal 18 sent')
    for number, verb in enumerate(('reread', 'update', 'daemon-reload')):
        w.conf('david', f'new{number}', f'dir=/\nstart=sleep 20{number}\n')
        w.dmctl('david', verb).exits(0).says(f'david/new{number}')
    listed = w.dmctl('david', 'help').exits(0)
    for alias, verb in ALIASES:
        listed.says(f'{alias}={verb}')
        w.dmctl('david', 'help', alias).exits(0).says(f'{alias} is another name of {verb}')
        w.dmctl('david', alias, '--help').exits(0).says(f'dmctl {verb}')


def mistyped_verbs(w):
    """A verb that is mistyped is exit 2, the one that may be meant is named, and nothing is done."""
    _three(w)
    for words, meant in ((('restrat', 'bot'), 'restart'), (('bot', 'stpo'), 'stop'), (('satus',), 'status'), (('stat', 'bot'), 'status'), (('help', 'rescna'), 'rescan')):
        w.dmctl('david', *words).exits(2).says(f"did you mean '{meant}'?")
    answer = w.dmctl('david', 'frobnicate', 'bot').exits(2)
    assert 'did you mean' not in answer.text, repr(answer)
    assert set(_states(w).values()) == {'running'}


def patterns(w):
    """Patterns of * ? [..] mean the daemons whose names they match, with or without an owner; a family by its name and its members."""
    w.conf('david', 'web', 'dir=/\ninstances=2\nstart=sleep 1004\n')
    w.conf('amy', 'wp-amy', 'dir=/\nstart=sleep 1005\n')
    w.conf('amy', 'web', 'dir=/\nstart=sleep 1006\n')
    _three(w)
    for name in ('david/web:1', 'david/web:2', 'amy/wp-amy', 'amy/web'):
        w.up(name)
    def listed(user, *words):
        return w.dmctl(user, 'list', *words).exits(0).out.split()
    assert listed('david', 'wp-*') == ['david/wp-blog', 'david/wp-shop']
    assert listed('david', 'wp-*', 'bot', '*o*') == ['david/wp-blog', 'david/wp-shop', 'david/bot']
    assert listed('david', '[a-c]ot') == listed('david', 'david/?ot') == ['david/bot']
    assert listed('david', 'we?') == ['david/web:1', 'david/web:2']
    assert listed('david', 'web:[!1]') == ['david/web:2']
    assert listed('root', 'amy/*') == ['amy/web', 'amy/wp-amy']
    assert listed('root', '*/web') == ['amy/web', 'david/web:1', 'david/web:2']
    assert listed('root', 'wp-*', '-u', 'amy') == ['amy/wp-amy']
    w.dmctl('david', 'stop', 'wp-*').exits(0).says('david/wp-blog', 'david/wp-shop')
    states = _states(w)
    assert {name for name, state in states.items() if state == 'stopped'} == {'david/wp-blog', 'david/wp-shop'}, states
    w.dmctl('root', 'kill', 'CONT', 'a*/w*').exits(0).says('amy/web', 'amy/wp-amy')


def patterns_without_a_match(w):
    """A pattern that matches nothing is exit 5 and says so; the other ids are served, and ids of another than -u says are exit 2."""
    _three(w)
    w.dmctl('david', 'stop', 'x*', 'bot').exits(5).says("no daemon matches 'x*'", 'david/bot: stopped')
    w.dmctl('david', 'status', '[a').exits(5)
    w.dmctl('root', 'stop', 'david/*', '-u', 'amy').exits(2).says('-u says amy')
    w.dmctl('root', 'stop', 'david/wp-blog', '-u', 'amy').exits(2).says('-u says amy')
    assert _states(w) == {'david/bot': 'stopped', 'david/wp-blog': 'running', 'david/wp-shop': 'running'}


def patterns_that_cost(w):
    """Patterns that would keep the manager busy are exit 2, and nothing is done; it serves on."""
    for number in range(3):
        w.conf('david', 'a' * 63 + str(number), 'dir=/\nstart=sleep 1004\n')
    _three(w)
    for number in range(3):
        w.up('david/' + 'a' * 63 + str(number))
    answer = w.dmctl('david', 'stop', 'bot', *('*' + 'a' * 31 + f'b{number}' for number in range(1400)))
    assert answer.code == 2 and 'nothing was done' in answer.err, (answer.code, answer.err[-300:])
    assert set(_states(w).values()) == {'running'}


def near_misses(w):
    """An id that is nobody's is exit 5, with the one that may be meant: of oneself by its name, of others by its id."""
    _three(w)
    w.dmctl('david', 'stop', 'wp-blgo').exits(5).says("no daemon 'wp-blgo'; did you mean 'wp-blog'?")
    w.dmctl('david', 'stop', 'david/bto').exits(5).says("did you mean 'david/bot'?")
    w.dmctl('helpdesk', 'status', 'wp-shpo').exits(5).says("did you mean 'david/wp-shop'?")
    assert 'did you mean' not in w.dmctl('david', 'stop', 'nosuch').exits(5).text
    assert set(_states(w).values()) == {'running'}


def unread_confs(w):
    """A daemon of one's own whose conf was not read yet is exit 5 as any that there is none of, and what reads it is said."""
    _three(w)
    w.conf('david', 'fresh', 'dir=/\nstart=sleep 1004\n')
    for words in (('status', 'fresh'), ('stop', 'david/fresh'), ('kill', 'HUP', 'fresh'), ('is-active', 'fresh')):
        w.dmctl('david', *words).exits(5).says('there is a conf fresh.conf that was not read yet; dmctl start fresh reads it and starts it, dmctl rescan reads all')
    assert 'not read yet' not in w.dmctl('david', 'status', 'nosuch').exits(5).text
    assert 'not read yet' not in w.dmctl('amy', 'status', 'fresh').exits(5).text
    w.dmctl('david', 'start', 'fresh').exits(0)


def reset_failed(w):
    """reset-failed makes a failed daemon a stopped one, whose failures are counted from none; it stays so under the next manager."""
    w.conf('david', 'bad', 'dir=/\ngive_up_after=2/1m\ncooldown=100ms\nstart=exit 3\n')
    _three(w)
    w.wait_state('david/bad', 'failed')
    w.dmctl('david', 'reset-failed', 'bad').exits(0).says('david/bad: stopped; its failures are forgotten')
    assert w.row('david/bad').state == 'stopped'
    w.dmctl('david', 'reset-failed', 'bad', 'bot').exits(0).says('david/bot: running: there is no failure to forget')
    worker = w.worker()
    os.kill(worker, 9)
    world.wait_for(lambda: w.worker() != worker, 'there is another worker')
    assert w.row('david/bad').state == 'stopped'
    w.dmctl('david', 'start', '--no-wait', 'bad').exits(0)
    w.wait_state('david/bad', 'failed')
    w.dmctl('david', 'reset-failed', 'nosuch').exits(5)


def is_active(w):
    """is-active prints states, a line each; exit 0 where all run or listen, else 3, and 5 where there is none."""
    w.conf('david', 'shy', 'dir=/\nlisten=127.0.0.1:7001\nstart_on=connection\nstart=sleep 1004\n')
    _three(w)
    w.wait_state('david/shy', 'listening')
    assert w.dmctl('david', 'is-active', 'bot', 'shy').exits(0).out == 'running\nlistening\n'
    w.dmctl('david', 'stop', 'bot').exits(0)
    assert w.dmctl('david', 'is-active', 'bot', 'wp-shop').exits(3).out == 'stopped\nrunning\n'
    assert w.dmctl('david', 'is-active', '--quiet', 'bot').exits(3).text == ''
    assert w.dmctl('david', 'is-active', '-q', 'wp-*').exits(0).text == ''
    assert w.dmctl('david', 'is-active', 'nosuch').exits(5).out == ''


def quiet(w):
    """With -q no verb prints but errors, and the exit code is what it is without."""
    w.conf('david', 'talker', 'dir=/\noutput=log\nstart=echo hello; exec sleep 1004\n')
    _three(w)
    w.up('david/talker')
    for words in ((), ('status',), ('list',), ('pid', 'bot'), ('stop', 'bot'), ('start', 'bot'), ('restart', 'bot'), ('try-restart', 'bot'),
                  ('kill', 'CONT', 'bot'), ('log', 'talker'), ('tail', 'talker'), ('rescan',), ('check',), ('cat', 'bot'), ('disable', 'bot'),
                  ('enable', 'bot'), ('reset-failed', 'bot'), ('is-active', 'bot'), ('version',), ('help',)):
        for option in ('-q', '--quiet'):
            assert w.dmctl('david', *words, option).exits(0).text == '', words
    for words, code in ((('stop', 'nosuch'), 5), (('stop', 'amy/x'), 4), (('reload', 'bot'), 1), (('scale', 'bot', '2'), 1), (('log', 'bot'), 1)):
        answer = w.dmctl('david', '-q', *words).exits(code)
        assert answer.err and not answer.out, repr(answer)
    w.dmctl('david', '-q', '-f', 'log', 'talker').exits(2)
    w.dmctl('david', 'stop', 'bot').exits(0)
    assert w.dmctl('david', '-q', 'status', 'bot').exits(3).text == ''


def kill_with_the_signal_last(w):
    """kill takes a signal as its last word; where a daemon has that name too, it asks which is meant and sends nothing."""
    w.script('/srv/trap', '#!/bin/sh\ntrap "echo HUP >> /tmp/got" HUP\ntouch /tmp/ready\nwhile :; do sleep 0.05; done\n')
    w.conf('david', 'web', 'dir=/\nstart=/srv/trap\n')
    _three(w)
    w.up('david/web')
    world.wait_for(lambda: os.path.exists('/tmp/ready'), 'the trap is set')
    def got():
        return open('/tmp/got').read().split() if os.path.exists('/tmp/got') else []
    pid = w.up('david/web')
    for count, words in enumerate((('web', 'HUP'), ('web', 'SIGHUP'), ('web', 'hup'), ('web', 'sighup'), ('web', '1')), 1):
        w.dmctl('david', 'kill', *words).exits(0).says('signal 1 sent')
        world.wait_for(lambda: len(got()) == count, 'the signal has come')
    assert w.up('david/web') == pid
    w.conf('david', 'HUP', 'dir=/\nstart=sleep 1009\n')
    w.conf('david', 'usr1', 'dir=/\nstart=sleep 1010\n')
    w.rescan('david')
    hup, again = w.up('david/HUP'), w.up('david/web')
    assert again == pid
    w.dmctl('david', 'kill', 'web', 'HUP').exits(2).says('dmctl kill -HUP web', 'dmctl kill -TERM web HUP')
    w.dmctl('david', 'kill', 'web', 'usr1').exits(2).says('nothing was sent', 'dmctl kill -TERM web usr1')
    w.dmctl('david', 'kill', 'CONT', 'web', 'HUP').exits(0).says('david/HUP: signal 18', 'david/web: signal 18')
    assert len(got()) == 5 and w.up('david/HUP') == hup and w.up('david/web') == again


def kill_with_an_unknown_word(w):
    """kill sends nothing at all where one of its words is neither a daemon nor a signal; one that is nearly a signal is exit 2 and named."""
    _three(w)
    pids = {name: w.up('david/' + name) for name, _ in SLEEPS}
    for words, meant in ((('HUPP', 'bot'), 'HUP'), (('bot', 'HUPP'), 'HUP'), (('bot', 'hupp'), 'HUP'), (('SIGUSR3', 'bot'), 'USR1'), (('bot', 'sigtrem', 'wp-*'), 'TERM')):
        w.dmctl('david', 'kill', *words).exits(2).says('nothing was sent', f'did you mean {meant}?')
    w.dmctl('david', 'kill', '-s', 'HUPP', 'bot').exits(2).says('did you mean HUP?')
    for words in (('70', 'bot'), ('0', 'bot'), ('bot', '70'), ('bot', '9', 'wp-blog')):
        w.dmctl('david', 'kill', *words).exits(2)
    w.dmctl('david', 'kill', '70', 'bot').says("'70' is no signal", '1 to 64')
    for words in (('nosuch', 'bot'), ('KILL', 'bot', 'nosuch'), ('bot', 'x*'), ('KILL', 'HUPP', 'bot'), ('-9', 'bot', 'bto')):
        w.dmctl('david', 'kill', *words).exits(5).says('nothing was sent')
    w.dmctl('david', 'kill', 'bot', 'amy/bot').exits(4).says('nothing was sent')
    w.dmctl('david', 'stop', 'wp-shop').exits(0)
    w.dmctl('david', 'kill', 'CONT', 'wp-shop', 'wp-blog').exits(3).says('david/wp-blog: signal 18 sent')
    del pids['wp-shop']
    assert {name: w.up('david/' + name) for name in pids} == pids


def wrong_words(w):
    """What is wrong on the command line is exit 2, and says what it is and how the verb is used."""
    _three(w)
    for words, said in ((('stop',), 'needs a daemon'), (('enable',), 'needs a daemon'), (('is-active',), 'needs a daemon'), (('cat',), 'needs a daemon'),
                        (('reset-failed',), 'needs a daemon'), (('enable', 'bot', '-n', '3'), 'takes no --lines; only log and tail do'), (('cat', '-HUP', 'bot'), 'only kill does'),
                        (('stop', '--frobnicate', 'bot'), 'dmctl help'), (('kill', 'HUP'), 'kill needs a daemon')):
        w.dmctl('david', *words).exits(2).says(said)
    assert set(_states(w).values()) == {'running'}
