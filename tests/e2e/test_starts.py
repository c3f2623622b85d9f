"""Starts that fail: which step, on which path, and the way out."""
import os
import signal

import world
import wreck


def _fails(w, text, *words, owner='david', config=None):
    w.conf(owner, 'bad', text)
    w.start(config)
    world.wait_for(lambda: f'{owner}/bad' in w.rows(), 'its conf has been read')
    answer = w.dmctl(owner, 'start', 'bad')
    assert answer.code == 1, repr(answer)
    answer.says(*words)
    w.wait_note(f'{owner}/bad', *words)
    return answer.text


def home_0700(w):
    """A target that may not enter the owner's 0700 home gets told the very directory, and both ways out."""
    w.folder('/home/david/site', 'david')
    text = _fails(w, 'dir=/home/david/site\nuser=www-data\nautostart=no\nstart=sleep 1001\n', '/home/david', 'www-data')
    assert '/home/david/site' not in text, f'the directory that shuts www-data out is /home/david: {text}'
    assert 'chmod o+x /home/david' in text and 'dir=' in text, text


def folder_inside_is_closed(w):
    """Not the home but a directory below it is closed to the target: that one is named."""
    os.chmod('/home/david', 0o755)
    w.folder('/home/david/private', 'david', 0o700)
    w.folder('/home/david/private/site', 'david')
    _fails(w, 'dir=/home/david/private/site\nuser=www-data\nautostart=no\nstart=sleep 1001\n', '/home/david/private')


def missing_dir(w):
    """A dir that is not there is named, up to the part that is missing."""
    w.folder('/home/david/here', 'david')
    _fails(w, 'dir=/home/david/here/not/there\nautostart=no\nstart=sleep 1001\n', '/home/david/here/not')


def dir_is_a_file(w):
    """A dir that is a file is said to be none."""
    w.script('/home/david/file', '', 'david')
    _fails(w, 'dir=/home/david/file\nautostart=no\nstart=sleep 1001\n', '/home/david/file', 'irectory')


def missing_program(w):
    """A program that is not in PATH is named, and that it was looked for there."""
    _fails(w, 'dir=/\nautostart=no\nstart=nosuchprogram-here -x\n', 'nosuchprogram-here', 'PATH')


def missing_program_with_a_path(w):
    """A program that is not where its path says is named."""
    _fails(w, 'dir=/\nautostart=no\nstart=/srv/no/such -x\n', '/srv/no')


def relative_program(w):
    """A relative program is looked for in dir."""
    w.script('/home/david/site/run-me', '#!/bin/sh\nexec sleep 1001\n', 'david')
    w.conf('david', 'web', 'dir=/home/david/site\nstart=./run-me\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: w.find('sleep 1001'), 'it runs')


def program_without_x(w):
    """A program that is not executable is named, with the reason."""
    w.script('/home/david/site/run-me', '#!/bin/sh\n', 'david', 0o644)
    _fails(w, 'dir=/home/david/site\nautostart=no\nstart=./run-me\n', 'run-me', 'ermission denied', 'chmod +x ./run-me')


def missing_interpreter(w):
    """A script whose interpreter is missing is not called missing itself."""
    w.script('/home/david/site/run-me', '#!/usr/bin/nosuch\n', 'david')
    _fails(w, 'dir=/home/david/site\nautostart=no\nstart=./run-me\n', 'run-me', 'interpreter')


def failed_start_cools_down(w):
    """A daemon whose start failed tries again with a growing cooldown, and runs as soon as it can."""
    w.conf('david', 'bad', 'dir=/home/david/later\nstart=sleep 1001\n')
    w.start()
    w.wait_state('david/bad', 'cooldown')
    w.folder('/home/david/later', 'david')
    w.up('david/bad')
    assert '/home/david/later' not in w.dmctl('david', 'status').text


def quick_exit_is_no_start_failure(w):
    """A program that runs and ends at once was started; status shows its code."""
    w.conf('david', 'quick', 'dir=/\nstart=/bin/false\n')
    w.start()
    w.wait_state('david/quick', 'cooldown')
    w.wait_note('david/quick', '1')


def shell_line(w):
    """What needs a shell gets one: variables, pipes, redirections, several commands."""
    w.conf('david', 'web', 'dir=/home/david\nexport WORD=it works\nstart=echo "$WORD" | tr a-z A-Z > out.txt; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: os.path.exists('/home/david/out.txt') and open('/home/david/out.txt').read() == 'IT WORKS\n', 'the shell ran')


def exec_and_no_exec_are_one(w):
    """`exec sleep`, and `sleep` alone, are both run directly: one process, the daemon itself."""
    w.conf('david', 'one', 'dir=/\nstart=exec sleep 1001\n')
    w.conf('david', 'two', 'dir=/\nstart=sleep 1002\n')
    w.start()
    for name, number in (('one', '1001'), ('two', '1002')):
        pid = w.up('david/' + name)
        world.wait_for(lambda: w.command_of(pid) == ['sleep', number], f'{pid} is sleep {number}')


def empty_environment_of_the_manager(w):
    """A variable of the manager's environment does not reach a daemon, not even through a shell."""
    w.conf('david', 'web', 'dir=/home/david\nstart=env > env.txt; exec sleep 1001\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: os.path.exists('/home/david/env.txt') and os.path.getsize('/home/david/env.txt'), 'env was run')
    with open('/home/david/env.txt') as text:
        assert 'SECRET_OF_ROOT' not in text.read()


def of_a_conf_that_is_new(w):
    """start of a name that no conf had when they were last read reads them first: a daemon, all of a family, one of another's, or none."""
    w.conf('david', 'old', 'dir=/\nstart=sleep 4401\n')
    w.start()
    w.up('david/old')
    w.conf('david', 'new', 'dir=/\nautostart=no\nstart=sleep 4402\n')
    w.dmctl('david', 'start', 'new').exits(0).says('david/new: running')
    w.conf('david', 'both', 'dir=/\nautostart=no\ninstances=2\nstart=sleep 4403\n')
    w.dmctl('helpdesk', 'start', 'david/both').exits(0).says('david/both:1: running', 'david/both:2: running')
    w.conf('david', 'bad', 'dir=/\nstart=sleep 4404\nwat=1\nautostart=maybe\n')
    w.dmctl('root', 'start', 'david/bad').exits(1).says('bad.conf:4:')
    w.dmctl('david', 'start', 'olt', 'david/nwe').exits(5).says("no daemon 'olt'; did you mean 'old'?", "did you mean 'new'?")
    w.dmctl('david', 'start', 'n*s').exits(5).says("no daemon matches 'n*s'")
    w.conf('amy', 'hers', 'dir=/\nautostart=no\nstart=sleep 4405\n')
    w.dmctl('david', 'start', 'amy/hers').exits(4)
    w.dmctl('root', 'start', '-u', 'amy', 'hers').exits(0).says('amy/hers: running')


def changes_that_need_no_restart(w):
    """rescan tells of a changed conf to restart only where what runs does not do as it says; autostart= alone needs none."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 4411\n')
    w.conf('david', 'key', 'dir=/\nexport KEY=secret\nstart=sleep 4412\n')
    w.start()
    w.up('david/web')
    w.up('david/key')
    w.conf('david', 'web', 'dir=/\n# a word\nautostart=no\nstop_timeout=3s\nstart=sleep 4411\n')
    said = w.dmctl('david', 'rescan').exits(0).out
    assert said == 'david/web: conf changed; what changed counts already, and needs no restart\n', said
    w.conf('david', 'web', 'dir=/\nautostart=no\numask=077\nstart=sleep 4411\n')
    w.conf('david', 'key', 'dir=/\nexport KEY=other\nstart=sleep 4412\n')
    w.dmctl('david', 'rescan').exits(0).says('david/web: conf changed; dmctl restart david/web applies it',
                                             'david/key: conf changed; what it says of starts and ends counts already, and if an export changed')
    # As it was when it was started.
    w.conf('david', 'web', 'dir=/\nstart=sleep 4411\n')
    w.dmctl('david', 'rescan').exits(0).says('david/web: conf changed; what changed counts already')
    assert any('conf changed, found by david' in line for line in w.dmctl('david', 'history', 'web').out.splitlines())


def asked_again(w):
    """A task that has ended before dmctl, whose request worker or monitor left without an answer, asks again is not run twice: dmctl
    tells how it ended."""
    conf = 'dir=/\ntype=task\nautostart=no\nbefore=touch /tmp/begun; until test -e /tmp/go; do sleep 0.01; done\nstart=echo run >> /tmp/ledger; exit '
    for kill in (wreck.kill_worker, wreck.kill_manager):
        for status, state, words in (('0', 'done', 'david/web: done: exit code 0'), ('3', 'failed', 'exit code 3')):
            w.reset()
            w.conf('david', 'web', conf + status + '\n')
            w.start()
            asked = w.background('david', world.DMCTL, 'start', 'web')
            world.wait_for(lambda: os.path.exists('/tmp/begun'), 'before= runs')
            os.kill(asked.pid, signal.SIGSTOP)
            kill(w)
            if kill == wreck.kill_manager:
                w.start()
            w.wait_state('david/web', 'starting')
            world.write('/tmp/go', '')
            w.wait_state('david/web', state)
            os.kill(asked.pid, signal.SIGCONT)
            said, _ = asked.communicate(timeout=world.PATIENCE)
            assert asked.returncode == (status != '0') and words in said, (asked.returncode, said)
            with open('/tmp/ledger') as ledger:
                assert ledger.read() == 'run\n', w.dmctl('david', 'history', 'web').out
