"""The master config: what is refused, and what each line grants."""
import os
import shutil
import signal

import world


def _refused(w, config, *words):
    w.start(config, ready=False)
    code = w.manager.wait(20)
    assert code == 1, f'expected exit 1, got {code}'
    for word in words:
        assert word in w.log(), f'expected {word!r} in the log:\n{w.log()}'
    assert not os.path.exists('/run/daemon-manager/root.sock') or w.dmctl('root', 'status').code == 7


def unknown_section(w):
    """An unknown section is refused with file, line and column, and what to write instead."""
    _refused(w, '[runs_as]\ndavid\n [rnus_as]\n', f"{world.CONFIG}:3:2: found '[rnus_as]', expected [runs_as]")


def unknown_key(w):
    """An unknown key in [settings] and in [limits] is refused with file, line and column; all errors come in one run."""
    _refused(w, '[settings]\nshutdown=60s\n[limits]\ndavid: deamons=3\n', f"{world.CONFIG}:2:1: found 'shutdown'",
             f"{world.CONFIG}:4:8: found 'deamons', expected daemons")


def unparsable_line(w):
    """A line that does not parse is refused with file, line and column."""
    _refused(w, '[runs_as]\ndavid www-data\n', f"{world.CONFIG}:2:7: found 'www-data', expected ':'")


def outside_section(w):
    """A rule before the first section is refused."""
    _refused(w, 'david: www-data\n', f'{world.CONFIG}:1:1: found a line before the first section')


def two_names_one_uid(w):
    """Two listed names with one uid are refused, whichever of them root meant."""
    with open('/etc/passwd', 'a') as passwd:
        passwd.write('dave:x:1000:1000::/home/david:/bin/sh\n')
    _refused(w, '[runs_as]\ndavid\ndave\n', f"{world.CONFIG}:3:1: found 'dave' with uid 1000, which 'david' has too")


def foreign_owner(w):
    """A config that is not root's is refused, and the log says how to mend it."""
    world.write(world.CONFIG, '[runs_as]\ndavid\n', 0o644, 1000, 1000)
    _refused(w, None, 'found uid 1000 as its owner, expected root', f'chown root {world.CONFIG}')


def writable_by_group(w):
    """A config that its group may write to is refused, and the log says how to mend it."""
    world.write(world.CONFIG, '[runs_as]\ndavid\n', 0o664)
    _refused(w, None, 'found mode 0664', f'chmod go-w {world.CONFIG}')


def writable_by_others(w):
    """A config that others may write to is refused."""
    world.write(world.CONFIG, '[runs_as]\ndavid\n', 0o646)
    _refused(w, None, 'found mode 0646')


def not_a_file(w):
    """A FIFO in place of the config is refused and does not hang the manager."""
    if os.path.exists(world.CONFIG):
        os.unlink(world.CONFIG)
    os.mkfifo(world.CONFIG, 0o644)
    _refused(w, None, 'expected a regular file')


def missing(w):
    """A missing config is said with its path."""
    w.start('', arguments=['--config', '/etc/no-such.conf'], ready=False)
    assert w.manager.wait(20) == 1
    assert '/etc/no-such.conf' in w.log()


def other_file(w):
    """--config FILE takes another file, and its name stands in the messages."""
    world.write('/etc/other.conf', '[runs_as]\ndavid:: x\n')
    w.start('', arguments=['--config', '/etc/other.conf'], ready=False)
    assert w.manager.wait(20) == 1
    assert '/etc/other.conf:2:7: ' in w.log(), w.log()


def no_worker_user(w):
    """Without the worker's user the manager does not start, and prints the command that makes it."""
    with open('/etc/passwd') as passwd:
        lines = [line for line in passwd if not line.startswith('_daemon-manager:')]
    world.write('/etc/passwd', ''.join(lines))
    w.start('[runs_as]\ndavid\n', ready=False)
    assert w.manager.wait(20) == 1
    assert 'useradd' in w.log() and '_daemon-manager' in w.log(), w.log()


def root_as_target(w):
    """Nobody but root gets root as a target."""
    _refused(w, '[runs_as]\nroot\ndavid: amy, root\n', f"{world.CONFIG}:3:13: found 'root', expected a user other than root")


def names_that_do_not_resolve(w):
    """A name that does not resolve is a warning, grants nothing, and the rest of the config counts."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'ghostly', 'dir=/\nuser=ghost\nstart=sleep 1002\n')
    w.start('[runs_as]\ndavid: ghost, @nogroup-here\nspook\n[manages]\nphantom: david\n')
    w.up('david/web')
    for place, name in (('2:8', "'ghost'"), ('2:15', "'@nogroup-here'"), ('3:1', "'spook'"), ('5:1', "'phantom'")):
        assert f'{world.CONFIG}:{place}: warning: found {name}' in w.log(), w.log()
    w.wait_note('david/ghostly', 'ghost')
    assert not w.find('sleep 1002')


def stopped_too_late(w):
    """A shutdown_timeout that TimeoutStopSec of the unit leaves no time for is a warning with its place and what to do; where the two fit,
    also by a drop-in, there is none. What is not written is as long as it usually is."""
    unit = next(path for path in ('/usr/lib/systemd/system/daemon-manager.service', '/lib/systemd/system/daemon-manager.service') if os.path.exists(path))
    with open(unit) as file:
        assert 'TimeoutStopSec=90s\n' in file.read()
    for script in ('init', 'openrc'):  # the other init systems are the same
        with open(f'/usr/share/doc/daemon-manager/examples/daemon-manager.{script}') as file:
            assert 'TERM/90' in file.read()
    config = '[runs_as]\ndavid\n[settings]\nshutdown_timeout={}\n'
    w.start(config.format('85s'))
    assert 'warning' not in w.log(), w.log()
    w.reload(config.format('2m'))
    w.wait_log(f"{world.CONFIG}:4:18: warning: found '2m', expected at most 1m25s", 'after 1m30s (TimeoutStopSec of daemon-manager.service)',
               'systemctl edit daemon-manager')
    w.stop()
    os.makedirs('/etc/systemd/system/daemon-manager.service.d')
    world.write('/etc/systemd/system/daemon-manager.service.d/time.conf', '[Service]\nTimeoutStopSec=3min\n')
    w.start(config.format('2m'))
    assert w.log().count('warning') == 1, w.log()
    world.write('/etc/systemd/system/daemon-manager.service.d/time.conf', '[Service]\nTimeoutStopSec=1min\n')
    w.reload('[runs_as]\ndavid\n')
    w.wait_log(f'{world.CONFIG}: warning: found no shutdown_timeout, which is 1m then, expected at most 55s')
    shutil.rmtree('/etc/systemd/system/daemon-manager.service.d')


def a_number_is_no_user(w):
    """A number in the config is a name like any other, never a uid."""
    w.start('[runs_as]\ndavid: 0\n1001\n')
    assert f"{world.CONFIG}:2:8: warning: found '0'" in w.log(), w.log()
    assert f"{world.CONFIG}:3:1: warning: found '1001'" in w.log(), w.log()
    w.dmctl('amy', 'status').exits(4)


def groups(w):
    """@group means its members, and those listed users whose primary group it is, on either side."""
    with open('/etc/passwd') as passwd:
        text = passwd.read().replace('bob:x:1002:1002:', 'bob:x:1002:2001:')
    world.write('/etc/passwd', text)
    for user in ('david', 'amy', 'bob'):
        w.conf(user, 'as-nobody', f'dir=/\nuser=nobody\nstart=sleep 200{len(user)}\n')
    w.conf('david', 'as-web', 'dir=/\nuser=www-data\nstart=sleep 1004\n')
    w.start('[runs_as]\n@staff: nobody\nbob\ndavid: @web\n[manages]\nhelpdesk: @staff\n')
    for name in ('david/as-nobody', 'amy/as-nobody', 'bob/as-nobody', 'david/as-web'):
        w.up(name)
    assert {'david/as-nobody', 'amy/as-nobody', 'bob/as-nobody', 'david/as-web'} == set(w.rows('helpdesk'))


def rules_accumulate(w):
    """Rules of one user accumulate, over sections that come back, with comments anywhere."""
    w.conf('david', 'one', 'dir=/\nuser=www-data\nstart=sleep 1001\n')
    w.conf('david', 'two', 'dir=/\nuser=nobody\nstart=sleep 1002\n')
    w.conf('david', 'own', 'dir=/\nuser=david\nstart=sleep 1003\n')
    w.start('# first\n[runs_as] # a section\ndavid: www-data # one\n\n[manages]\n[can_run_as]\n  david : nobody,\tamy # two\namy:\n')
    for name in ('one', 'two', 'own'):
        w.up('david/' + name)


def only_listed_users(w):
    """A user whom the config does not list runs nothing, though others may run as him."""
    w.conf('eve', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('www-data', 'web', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'web', 'dir=/\nuser=www-data\nstart=sleep 1003\n')
    w.start('[runs_as]\ndavid: www-data\n')
    w.up('david/web')
    assert set(w.rows()) == {'david/web'}
    assert not w.find('sleep 1001') and not w.find('sleep 1002')


def root_listed(w):
    """Root has daemons, as root, when root is listed; the conf is judged like anyone's."""
    w.conf('root', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('root', 'other', 'dir=/\nuser=david\nstart=sleep 1002\n')
    w.start('[runs_as]\nroot: david\n')
    assert w.status_of(w.up('root/web'))['Uid'].split()[0] == '0'
    assert w.status_of(w.up('root/other'))['Uid'].split()[0] == '1000'
    w.dmctl('root', 'stop', 'all').exits(0)


def root_not_listed(w):
    """Root's own confs are not looked at when root is not listed."""
    w.conf('root', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1002\n')
    w.start('[runs_as]\ndavid\n')
    w.up('david/web')
    assert set(w.rows()) == {'david/web'}


def reload_takes_a_new_config(w):
    """SIGHUP reads the config again: what is granted anew starts, what is not granted any more stops, the rest does not notice."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'as-www', 'dir=/\nuser=www-data\nstart=sleep 1002\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1003\n')
    w.conf('bob', 'bot', 'dir=/\nstart=sleep 1004\n')
    w.start('[runs_as]\ndavid: www-data\nbob\n')
    web = w.up('david/web')
    w.up('david/as-www')
    w.up('bob/bot')
    w.reload('[runs_as]\ndavid\namy\n')
    w.up('amy/radio')
    w.gone('sleep 1002')
    w.gone('sleep 1004')
    assert w.up('david/web') == web


def reload_that_stops(w):
    """A reload that stops daemons says how many and whose; an empty config says that nobody may run any, and one that is not there
    that the old policy stays."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'down', 'dir=/\nautostart=no\nstart=sleep 1001\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1002\n')
    w.conf('david', 'bot', 'dir=/\nstart=sleep 1003\n')
    w.start('[runs_as]\namy\ndavid\n')
    w.up('amy/radio'), w.up('david/web'), w.up('david/bot')
    os.unlink(world.CONFIG)
    w.manager.send_signal(signal.SIGHUP)
    w.wait_log(f'cannot read the master config {world.CONFIG}: No such file or directory; the old policy stays')
    assert 'are stopped' not in w.log() and 'warning' not in w.log(), w.log()
    w.reload('[runs_as]\ndavid\n[manages]\namy: david\n')
    w.wait_log('1 daemons of amy (uid 1001) are stopped: no line of [runs_as] lets him run any')
    w.gone('sleep 1001')
    w.reload('')
    w.wait_log(f'{world.CONFIG}: warning: found nobody on the left of a line in [runs_as]: nobody may run daemons',
               '2 daemons of david (uid 1000) are stopped: no line of [runs_as] lets him run any')
    w.gone('sleep 100')
    assert w.log().count('are stopped') == 2, w.log()


def reload_with_an_error(w):
    """A reload with an error keeps the old policy, says what is wrong, and daemons do not notice."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n')
    web = w.up('david/web')
    w.reload('[runs_as]\namy\n[nonsense]\n')
    assert f'{world.CONFIG}:3:1: ' in w.log() and 'old policy' in w.log(), w.log()
    assert w.up('david/web') == web
    w.dmctl('amy', 'status').exits(4)
    w.dmctl('david', 'restart', 'web').exits(0)


def reload_while_a_name_is_away(w):
    """A listed user whom the name service does not know at a reload keeps his daemons, and starts none."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n')
    web = w.up('david/web')
    with open('/etc/passwd') as passwd:
        text = passwd.read()
    world.write('/etc/passwd', text.replace('david:x:', 'divad:x:'))
    w.reload('[runs_as]\ndavid\namy\n')
    w.worker()
    assert w.alive(web), 'david/web was stopped'
    world.write('/etc/passwd', text)
    w.reload('[runs_as]\ndavid\namy\n')
    assert w.up('david/web') == web
    w.dmctl('david', 'restart', 'web').exits(0)


def another_user_of_the_name(w):
    """When a listed name has another uid at a reload, the daemons of the old one are stopped."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n')
    w.up('david/web')
    with open('/etc/passwd') as passwd:
        text = passwd.read()
    world.write('/etc/passwd', text.replace('david:x:1000:1000:', 'david:x:1100:1000:'))
    w.reload('[runs_as]\ndavid\n')
    w.gone('sleep 1001')


def limit_of_daemons(w):
    """A user over his limit of daemons gets a clear note for those that do not fit, and the others run."""
    for i in range(4):
        w.conf('david', f'd{i}', f'dir=/\nstart=sleep 100{i}\n')
    w.start('[runs_as]\ndavid\n[limits]\ndavid: daemons=3\n')
    w.wait_note('3', 'daemons', 'limit')
    for i in range(3):
        w.up(f'david/d{i}')
    assert w.row('david/d3').state == 'stopped' and not w.find('sleep 1003')


def limit_of_the_book(w):
    """A user whose confs are over his limit of bytes gets a note that says so, and the limit."""
    w.conf('david', 'big', 'dir=/\nstart=sleep 1001\n#' + 'x' * 4000 + '\n')
    w.start('[runs_as]\ndavid\n[limits]\n*: book=2K\n')
    w.wait_note('david/big', '2048')


def limit_of_connections(w):
    """The connection of a user over his limit gets a clear error, and others are served all the same."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n[limits]\n*: connections=4\n')
    w.up('david/web')
    holders = []
    for _ in range(4):
        holder = w.background('david', '/usr/bin/python3', '-c', 'import socket, time; s = socket.socket(socket.AF_UNIX); '
                              's.connect("/home/david/.daemon-manager/command.sock"); print("there", flush=True); time.sleep(100)')
        assert holder.stdout.readline() == 'there\n'
        holders.append(holder)
    answer = w.dmctl('david', 'status').exits(1)
    answer.says('connections')
    assert w.dmctl('root', 'status').code == 0
    for holder in holders:
        holder.kill()
        holder.wait()
    world.wait_for(lambda: w.dmctl('david', 'status').code == 0, 'david is served again')


def sighup_many_times(w):
    """Many reloads in a row leave one worker, one policy and the daemons as they were."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\n')
    web = w.up('david/web')
    for _ in range(10):
        w.manager.send_signal(signal.SIGHUP)
    w.wait_log('read again')
    assert w.up('david/web') == web
    w.worker()
