"""Limits that the monitor keeps, a sandbox that cannot be had, and a name service that is away."""
import os
import time

import world


def starts_per_second(w):
    """A user's starts are limited: beyond his allowance they wait for their turn, and are done all the same."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start('[runs_as]\ndavid\namy\n[limits]\ndavid: starts=1, daemons=2\n')
    w.up('david/web')
    begin = time.monotonic()
    for _ in range(4):
        w.dmctl('david', 'restart', 'web').exits(0)
        w.dmctl('amy', 'restart', 'radio').exits(0)
    # Each takes two (a reading and a start) of the three that he has at once; the rest come one a second.
    assert time.monotonic() - begin > 3, 'nobody held him back'
    assert len(w.find('sleep 1001')) == 1
    assert w.row('david/web').respawns == 0, 'waiting for a turn is no respawn'


def no_sandbox_no_service(w):
    """A worker that cannot set up its sandbox says so and serves nobody."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    wrapper = w.script('/srv/without-seccomp', '#!/bin/sh\nexec strace -f -o /dev/null -e trace=seccomp '
                                               '-e inject=seccomp:error=EINVAL /usr/sbin/daemon-manager\n')
    real, world.MANAGER = world.MANAGER, wrapper
    try:
        w.start(ready=False)
        w.wait_log('the sandbox cannot be set up, so it does not serve')
        w.wait_log('the next worker starts in')
        assert not w.find('sleep 1001')
    finally:
        world.MANAGER = real


def name_service_away(w):
    """With the name service away at a reload nobody's daemon is touched, whoever's and as whomever it runs; when it is back, all
    can be done again."""
    config = '[runs_as]\ndavid: www-data\n@staff\n[manages]\nhelpdesk: david\n'
    w.conf('david', 'web', 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')  # amy is listed by her group alone
    w.start(config)
    pids = [w.up('david/web'), w.up('amy/radio')]
    for name in ('passwd', 'group'):
        os.rename(f'/etc/{name}', f'/etc/{name}.away')
        world.write(f'/etc/{name}', open(f'/etc/{name}.away').read().splitlines()[0] + '\n')
    before = w.log().count('read again')
    w.manager.send_signal(1)
    world.wait_for(lambda: w.log().count('read again') > before, 'the reload')
    world.wait_for(lambda: w.run('root', world.DMCTL, 'version').code == 0, 'the manager serves')
    assert [w.alive(pid) for pid in pids] == [True, True]
    for name in ('passwd', 'group'):
        os.rename(f'/etc/{name}.away', f'/etc/{name}')
    w.reload(config)
    assert [w.up('david/web'), w.up('amy/radio')] == pids
    w.dmctl('helpdesk', 'restart', 'david/web').exits(0)
    w.dmctl('amy', 'stop', 'radio').exits(0)


def policy_helper_killed(w):
    """A dm-policy that is killed while the manager starts is run again; the manager does not end for it."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    real, kept = f'{world.HELPERS}/dm-policy', f'{world.HELPERS}/dm-policy.real'
    os.rename(real, kept)
    source = '#include <signal.h>\n#include <unistd.h>\n#include <fcntl.h>\n' \
             'int main(int c, char **v) { (void)c; if (open("/tmp/killed", O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)' \
             f' raise(SIGKILL); execv("{kept}", v); return 1; }}\n'
    try:
        w.run('root', 'sh', '-c', f"printf '%s' '{source}' | gcc -x c - -o {real} && chmod 711 {real}").exits(0)
        w.start()
        w.up('david/web')
        w.wait_log('dm-policy was killed by signal 9')
    finally:
        os.rename(kept, real)
