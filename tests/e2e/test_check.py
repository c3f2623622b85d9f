"""dmctl check: confs judged by their owner alone, without a manager."""
import os

import world

FOLDER = '/home/david/.daemon-manager/daemons'
HEAD = 'dir=/\nstart=sleep 1001\n'
# A line, its column, and what is said of it, for each key that may have a bad value.
BAD = [
    ('listen=run/web.sock', 8, "found 'run/web.sock' after listen=, expected an absolute path"),
    ('listen=/' + 107 * 'x', 8, 'at most 107 bytes'),
    ('listen=example.org:80', 8, 'an IPv4 address (or localhost) with a port'),
    ('listen=127.0.0.1:65536', 8, 'expected'),
    ('listen=/a.sock\nlisten_mode=0888', 13, 'an octal number'),
    ('listen=/a.sock\nlisten_backlog=0', 16, 'from 1 to 65535'),
    ('listen=/a.sock\nlisten_pass=both', 13, 'stdin or fds'),
    ('listen=/a.sock\nlisten=/b.sock\nlisten_pass=stdin', 13, 'with 2 listen lines'),
    ('listen=/a.sock\nstart_on=demand', 10, 'boot or connection'),
    ('start_on=connection', 10, 'without listen='),
    ('ready=soon', 7, 'started, notify, connect, or fd:'),
    ('ready=fd:2', 7, 'a descriptor from 3 to 31'),
    ('ready=connect', 7, 'without listen='),
    ('listen=/a.sock\nlisten_pass=fds\nready=fd:3', 7, 'write ready=fd:4 or higher'),
    ('ready=notify\nstart_timeout=0', 15, 'a time up to 24 days, not 0'),
    ('ready=notify\nwatchdog=500ms', 10, 'a time from 1s'),
    ('watchdog=5s', 10, 'without ready=notify'),
    ('stop=', 6, 'a command'),
    ('reload=SIGHUPP', 8, 'a signal by name or number'),
    ('before=', 8, 'a command'),
    ('after_exit=', 12, 'a command'),
    ('instances=101', 11, 'a number from 1 to 100'),
    ('instances=2\nlisten=/run/web.sock', 8, 'put %i'),
    ('requires=cache, a b', 17, "found 'a b' after requires="),
    ('requires=bad', 10, 'its own name'),
    ('after=web:1', 7, 'without the number of an instance'),
    ('type=task\nready=notify', 7, 'a task is ready when it has been started'),
    ('restart=sometimes', 9, 'always, on-failure or never'),
    ('user=33', 6, 'not a number'),
    ('log_size=3K', 10, 'a size from 4K to 1024G, or 0'),
    ('log_size=10MB', 10, 'units K M G'),
    ('log_keep=1001', 10, 'a number from 0 to 1000'),
    ('log_compress=zstd', 14, 'yes or no'),
    ('output=stdout', 8, 'log, syslog, file:PATH or discard'),
    ('output=file:web.log', 8, 'the whole path of a file'),
    ('instances=2\noutput=file:/log/web.log', 8, 'put %i'),
    ('log_stamp=GMT', 11, 'utc, local or none'),
]


def every_bad_value(w):
    """check tells each bad value with file, line and column, what was found and what to write, and ends with 1; rescan tells the
    same of the same file."""
    w.start()
    for text, column, words in BAD:
        line = 2 + len(text.splitlines())
        path = w.conf('david', 'bad', HEAD + text + '\n')
        place = f'{path}:{line}:{column}: found'
        w.dmctl('david', 'check', 'bad').exits(1).says(place, words)
        w.dmctl('david', 'rescan').exits(1).says(place, words)
    assert not w.find('sleep 1001')


def without_a_manager(w):
    """check needs no manager: it names the good on standard output and the bad on standard error, by name, by owner/name, by path or
    all of them, and ends with 1 where one is bad; warnings alone are no failure."""
    good = w.conf('david', 'good', HEAD)
    w.conf('david', 'bad', 'start=sleep 1001\nstop_timeout=ten\n')
    odd = w.conf('david', 'odd', HEAD + 'listen_mode=0600\ncolour=red\n')
    for words in (['good'], ['david/good'], [good]):
        assert w.dmctl('david', 'check', *words).exits(0).out == 'good: ok\n'
    assert w.run('david', world.DMCTL, 'check', 'good.conf', cwd=FOLDER).exits(0).out == 'good: ok\n'
    told = w.dmctl('david', 'check', 'odd').exits(0)
    assert told.out == 'odd: ok\n'
    assert f'{odd}:3:13: warning: found listen_mode without listen=' in told.err and f'{odd}:4:1: warning: found the unknown key' in told.err, told
    everything = w.dmctl('david', 'check').exits(1)
    assert everything.out == 'good: ok\nodd: ok\n', everything
    assert f'{FOLDER}/bad.conf:2:14: found' in everything.err and f'{FOLDER}/bad.conf: found no dir' in everything.err, everything
    assert w.dmctl('david', 'check', 'good.conf').exits(0).out == 'good: ok\n'
    assert w.dmctl('david', 'check', '/nowhere/web').exits(5).err.rstrip().endswith('/nowhere/web: there is no such file')
    w.dmctl('david', 'check', 'good', 'nobody').exits(5).says('good: ok', 'nobody: there is no such file')
    w.dmctl('david', 'check', '-u', 'amy').exits(2).says('takes no -u')
    w.dmctl('amy', 'check').exits(1).says('/home/amy/.daemon-manager; dmctl rescan makes it')
    assert not os.path.exists('/run/daemon-manager/state')


def place_of_a_fault(w):
    """check shows the line of a fault with a caret below its column, and of a line that may hold a secret only what is before it."""
    w.conf('david', 'web', 'dir=/\nstop_timeout=\tten\nexport TOKEN=geheim\nexport TOKEN=geheim\ncolour=geheim\nstart=sleep 1001\nlisten=/\x1b[2J\n')
    told = w.dmctl('david', 'check', 'web').exits(1)
    told.says('     2 | stop_timeout=   ten\n       |                 ^\n', '     4 | export TOKEN=...\n       |        ^\n', '     5 | colour=...\n       | ^\n')
    assert 'geheim' not in told.text and '\x1b' not in told.text, told


def warnings_of_what_fails_later(w):
    """check warns of what puts itself into the background, of a directory that is not there or closed, of programs that are not there
    or not executable, and of paths without their slash, each with its place, and ends with 0."""
    w.folder('/srv/closed', 'root', 0o700)
    w.script('/srv/site/data', 'x', mode=0o644)
    for name in ('tool', 'nginx', 'gunicorn'):
        w.script('/srv/site/' + name, '#!/bin/sh\n')
    for text, place, words in (
            ('dir=/\nstart=sleep 1001 &\n', '2:18', 'delete the &'),
            ('dir=/srv/site\nstart=exec ./nginx\n', '2:12', "nginx -g 'daemon off;'"),
            ('dir=/\nstart=/srv/site/gunicorn shop:app --daemon\n', '2:35', 'found gunicorn with --daemon'),
            ('dir=/srv/none/x\nstart=sleep 1001\n', '1:5', 'there is no /srv/none;'),
            ('dir=/srv/closed\nstart=sleep 1001\n', '1:5', '/srv/closed cannot be entered: Permission denied'),
            ('dir=/srv/site/data\nstart=sleep 1001\n', '1:5', 'is no directory'),
            ('dir=/srv/site\nstart=./nosuch\n', '2:7', 'there is no /srv/site/./nosuch'),
            ('dir=/srv/site\nstart=./data\n', '2:7', 'is not executable'),
            ('dir=/srv/site\nstart=tool\n', '2:7', 'write ./tool'),
            ('dir=/srv/site\nstart=sleep 1001\nafter_exit=nosuchprogram x >log\n', '3:12', 'in no directory of PATH'),
            ('dir=/srv/site\nstart=srv/site/tool\n', '2:7', 'did you mean /srv/site/tool?'),
            ('dir=/srv/site\nstart=./tool srv/site/data\n', '2:14', 'write /srv/site/data')):
        path = w.conf('david', 'web', text)
        told = w.dmctl('david', 'check', 'web').exits(0).says(f'{path}:{place}: warning: found', words)
        assert told.out == 'web: ok\n' and told.err.count('warning: ') == 1, told
    # What another user will find, where the caller may not look, nobody can tell.
    w.folder('/srv/closed/site', 'www-data')
    w.conf('david', 'web', 'dir=/srv/closed/site\nuser=www-data\nstart=./tool\n')
    assert not w.dmctl('david', 'check', 'web').exits(0).err


def files_as_dm_scan_takes_them(w):
    """check refuses a conf, or a file that env_file= names, that dm-scan would refuse for its mode, its owner or its kind, and says
    what to do."""
    path = w.conf('david', 'web', HEAD, mode=0o664)
    w.dmctl('david', 'check', 'web').exits(1).says(f'{path}: others may write to it (mode 0664)', 'chmod go-w')
    os.chmod(path, 0o644)
    os.chown(path, 1001, 1001)
    w.dmctl('david', 'check', 'web').exits(1).says('belongs to uid 1001; it must belong to david')
    os.unlink(path)
    os.symlink('/etc/passwd', path)
    w.dmctl('david', 'check', 'web').exits(1).says('is a symbolic link')
    os.unlink(path)
    w.conf('david', 'web', HEAD + 'env_file=%h/%n.env\n')
    w.dmctl('david', 'check', 'web').exits(1).says('the file that env_file= names cannot be read: No such file')
    world.write('/home/david/web.env', 'A=1\nsecret words\n', 0o600, 1000, 1000)
    told = w.dmctl('david', 'check', 'web').exits(1).says('in its line 2')
    assert 'secret words' not in told.text
    world.write('/home/david/web.env', 'A=1\n', 0o620, 1000, 1000)
    w.dmctl('david', 'check', 'web').exits(1).says('may be written to by others (mode 0620)')
    os.chmod('/home/david/web.env', 0o600)
    w.dmctl('david', 'check', 'web').exits(0)
    os.chmod(FOLDER, 0o770)
    w.dmctl('david', 'check').exits(1).says(f'{FOLDER}: others may write to it (mode 0770)')


def too_long_with_the_real_home(w):
    """An address that is too long only once %h and %n are replaced is told by check and by rescan, where it stands."""
    name = 'n' * 64
    path = w.conf('david', name, HEAD + 'listen=%h/run/%n/%n.sock\n')
    w.start()
    for verb in (['check', name], ['rescan']):
        w.dmctl('david', *verb).exits(1).says(f'{path}:3:8: found', 'bytes when its signs are replaced')
