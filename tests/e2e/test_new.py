"""dmctl new: a conf asked for or given by flags, written once, checked, and started."""
import os
import re
import stat

import world
from terminal import Terminal

FOLDER = '/home/david/.daemon-manager/daemons'


def _text(name):
    with open(f'{FOLDER}/{name}.conf') as conf:
        return conf.read()


def _ready(w):
    w.folder(FOLDER, 'david', 0o700)
    w.start()


def asks_for_what_is_missing(w):
    """On a terminal new asks for the directory, with the present one in brackets, for the command, and where its output goes, asks again
    for what is no value, writes a conf that check finds nothing wrong with, and starts it at a yes."""
    _ready(w)
    t = Terminal(w, 'david', world.DMCTL, 'new', 'web', cwd='/home')
    t.answer('directory to start in [/home]: ', 'tmp\n').expect("found 'tmp' after dir=, expected an absolute path")
    t.answer('directory to start in [/home]: ', '\n')
    t.answer('command that stays: ', '\n').expect('found nothing after start=')
    t.answer('command that stays: ', 'echo hello; exec sleep 1001\n')
    t.answer('file:PATH or discard [log]: ', 'file\n').expect("found 'file' after output=")
    t.answer('file:PATH or discard [log]: ', '\n').expect(f'wrote {FOLDER}/web.conf')
    t.answer('start it now? [Y/n] ', '\n')
    assert re.search(r'david/web: running, pid \d+', t.ends(0)), t.said
    assert _text('web') == 'dir=/home\noutput=log\nstart=echo hello; exec sleep 1001\n'
    world.wait_for(lambda: 'hello' in w.dmctl('david', 'tail', 'web').out, 'its output is in its log')
    info = os.stat(FOLDER + '/web.conf')
    assert stat.S_IMODE(info.st_mode) == 0o600 and info.st_uid == 1000, info
    told = w.dmctl('david', 'check', 'web').exits(0)
    assert told.out == 'web: ok\n' and not told.err, told
    w.up('david/web')
    assert os.listdir(FOLDER) == ['web.conf']


def a_no_starts_nothing(w):
    """At a no, or the end of the input, it is written and not started until the next rescan, which is said; at the end of the input before,
    nothing is written."""
    _ready(w)
    for name, answer in (('one', 'n\n'), ('two', '\x04')):
        t = Terminal(w, 'david', world.DMCTL, 'new', name, '--dir', '/', '--start', 'sleep 1001', '--output=discard')
        said = t.answer('[Y/n] ', answer).ends(0)
        assert f'dmctl start {name} starts it' in said and 'the next rescan' in said and f'unless dmctl disable {name}' in said, said
        assert _text(name) == 'dir=/\noutput=discard\nstart=sleep 1001\n'
    t = Terminal(w, 'david', world.DMCTL, 'new', 'three')
    t.answer('[/]: ', '\x04').expect('nothing was written')
    t.ends(1)
    Terminal(w, 'david', world.DMCTL, 'new', 'four').answer('[/]: ', '\x03').ends(-2)
    assert sorted(os.listdir(FOLDER)) == ['one.conf', 'two.conf']
    assert not w.find('sleep 1001')
    w.dmctl('david', 'disable', 'one').exits(0)
    w.up('david/two')
    assert w.row('david/one').state == 'stopped', w.row('david/one')


def flags_alone(w):
    """Without a terminal all comes from flags; one that is missing, or whose value is none, is named, with exit 2 and nothing
    written; --yes starts it."""
    _ready(w)
    w.dmctl('david', 'new', 'web').exits(2).says('new needs --dir DIRECTORY and --start COMMAND', 'no terminal')
    w.dmctl('david', 'new', 'web', '--dir', '/').exits(2).says('new needs --start COMMAND')
    w.dmctl('david', 'new', 'web', '--start', 'x').exits(2).says('new needs --dir DIRECTORY')
    good = ['--dir=/', '--start', 'sleep 1001']
    for flag, value, words in (('--dir', 'run', 'an absolute path'), ('--start', '', 'a command'), ('--listen', 'web', 'found'),
                               ('--output', 'file', 'log, syslog, file:PATH or discard'), ('--user', '33', 'not a number'),
                               ('--start', 'x\nuser=root', 'one line')):
        w.dmctl('david', 'new', 'web', *good, flag, value).exits(2).says(flag + ': ', words)
    w.dmctl('david', 'new', '../web', *good).exits(2).says('no name for a daemon')
    w.dmctl('david', 'new').exits(2)
    w.dmctl('david', 'new', 'a', 'b', *good).exits(2)
    w.dmctl('david', 'status', '--dir', '/').exits(2).says('only new does')
    w.dmctl('david', 'stop', 'web', '--yes').exits(2).says('only new and edit do')
    assert os.listdir(FOLDER) == []
    w.dmctl('david', 'new', 'web', *good, '--listen', '127.0.0.1:8000', '--listen', '%h/web.sock', '--output', 'log', '--user', 'www-data').exits(0) \
        .says(f'wrote {FOLDER}/web.conf', 'dmctl start web starts it')
    assert _text('web') == 'dir=/\nuser=www-data\nlisten=127.0.0.1:8000\nlisten=%h/web.sock\noutput=log\nstart=sleep 1001\n'
    assert not w.find('sleep 1001')
    w.dmctl('david', 'new', 'two', *good, '--yes').exits(0).says('david/two: running, pid ')
    w.up('david/two')
    assert _text('two') == 'dir=/\noutput=log\nstart=sleep 1001\n'
    Terminal(w, 'david', world.DMCTL, 'new', 'three', *good, '--yes').expect('david/three: running').ends(0)


def never_over_another(w):
    """A conf that is there already, or anything else of its name, is left as it was, with exit 1."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1002\n')
    os.symlink('/home/david/elsewhere', FOLDER + '/link.conf')
    w.start()
    for name in ('web', 'link'):
        w.dmctl('david', 'new', name, '--dir=/', '--start=sleep 1001').exits(1).says('is there already', f'dmctl edit {name}')
    assert _text('web') == 'dir=/\nstart=sleep 1002\n' and not os.path.exists('/home/david/elsewhere')


def makes_its_directory(w):
    """Where ~/.daemon-manager is not there yet, new asks the manager for it; without a manager, and of whom root allows none, it says
    so, and nothing is written."""
    new = ['new', 'web', '--dir=/', '--start=sleep 1001', '--yes']
    w.dmctl('david', *new).exits(7).says('the manager is not running')
    w.start()
    w.dmctl('david', *new).exits(0)
    assert os.stat('/home/david/.daemon-manager').st_uid == 1000
    w.up('david/web')
    assert w.dmctl('eve', *new).code in (1, 4)
    assert not os.path.exists('/home/eve/.daemon-manager')


def warns(w):
    """new shows what check would warn of, and writes the conf all the same; what a user chose is escaped."""
    _ready(w)
    told = w.dmctl('david', 'new', 'web', '--dir=/nowhere/\x1b[2J', '--start=sleep 1001 &').exits(0)
    told.says('web.conf:1:5: warning: ', 'there is no /nowhere', 'web.conf:3:18: warning: found & at the end')
    assert '\x1b' not in told.text


def told_in_whole_words(w):
    """On a terminal what is wrong is wrapped between its words, and the line of the conf stays as it is."""
    _ready(w)
    t = Terminal(w, 'david', world.DMCTL, 'new', 'web', '--dir=/nowhere/at/all/and/nothing/else', '--start=sleep 1001', COLUMNS='60')
    said = t.answer('discard [log]: ', '\n').answer('start it now? [Y/n] ', 'n\n').ends(0)
    said = said[said.index('/home/david'):]
    before = said[:said.index('     1 | dir=/nowhere/at/all/and/nothing/else')].splitlines()
    assert len(before) > 2 and all(len(line) <= 60 for line in before), said
    plain = w.dmctl('david', 'check', 'web').err.splitlines()[0]
    assert ' '.join(line.strip() for line in before) == plain, (before, plain)
