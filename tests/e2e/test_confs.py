"""Daemons' confs: each refusal with its own reason in `dmctl status`, and the others live on."""
import os
import signal

import world

GOOD = 'dir=/\nstart=sleep 1999\n'


def unreadable(w):
    """A conf that its owner cannot read is refused, with the error."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o000)
    w.refuses('ermission denied', 'chmod u+r /home/david/.daemon-manager/daemons/bad.conf')


def nul_byte(w):
    """A conf with a NUL is refused."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\0\n')
    w.refuses('NUL byte in line ', 'delete it')


def bad_name(w):
    """A conf whose file name is no name of a daemon is said to be so, and terminals are safe from it."""
    w.conf('david', 'good', GOOD)
    path = w.conf('david', 'x', 'dir=/\nstart=sleep 1001\n')
    os.rename(path, os.path.dirname(path) + '/b\x1b[2Jad.conf')
    w.start()
    w.up('david/good')
    for answer in (w.dmctl('david', 'rescan').exits(1), w.dmctl('david', 'status').exits(0)):
        answer.says('no name for a daemon')
        assert '\x1b' not in answer.text, repr(answer)
    assert not w.find('sleep 1001')


def bad_line(w):
    """A line that sets nothing is refused with its line and column."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\nthis is nothing\n')
    w.refuses(':3:1')


def bad_value(w):
    """A bad value is refused with its line, what was found and what was expected."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\nautostart=perhaps\n')
    w.refuses(':3:', 'perhaps', 'yes or no')


def no_dir(w):
    """A conf without dir is refused."""
    w.conf('david', 'bad', 'start=sleep 1001\n')
    w.refuses('dir')


def no_start(w):
    """A conf without start is refused."""
    w.conf('david', 'bad', 'dir=/\n')
    w.refuses('start')


def unknown_key(w):
    """An unknown key is a warning that is shown, and the daemon runs."""
    w.conf('david', 'typo', 'dir=/\nstart=sleep 1001\nautostrat=no\n')
    w.start()
    w.up('david/typo')
    w.wait_note('david/typo', 'autostrat', 'autostart')


def only_confs_count(w):
    """Files that do not end in .conf, and hidden ones, are no daemons."""
    for name in ('web.conf~', 'web.conf.bak', '.hidden.conf', 'README'):
        w.script('/home/david/.daemon-manager/daemons/' + name, 'dir=/\nstart=sleep 1001\n', 'david', 0o644)
    os.chmod('/home/david/.daemon-manager', 0o700)
    os.chmod('/home/david/.daemon-manager/daemons', 0o700)
    w.conf('david', 'good', GOOD)
    w.start()
    w.up('david/good')
    assert set(w.rows()) == {'david/good'} and not w.find('sleep 1001'), w.rows()


def rescan_takes_changes(w):
    """rescan starts what is new, stops what is gone, and leaves the rest alone."""
    w.conf('david', 'stays', 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'goes', 'dir=/\nstart=sleep 1002\n')
    w.start()
    stays = w.up('david/stays')
    w.up('david/goes')
    os.unlink(w.conf_path('david', 'goes'))
    w.conf('david', 'comes', 'dir=/\nstart=sleep 1003\n')
    w.conf('david', 'waits', 'dir=/\nautostart=no\nstart=sleep 1004\n')
    w.rescan('david')
    w.up('david/comes')
    w.gone('sleep 1002')
    assert w.up('david/stays') == stays
    assert w.row('david/waits').state == 'stopped'
    world.wait_for(lambda: 'david/goes' not in w.rows(), 'david/goes is forgotten')
    assert '\ndavid/goes is stopped and forgotten: its conf is gone\n' in w.log(), w.log()


def rescan_reads_no_other_home(w):
    """rescan of one user does not read the confs of another."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    w.conf('amy', 'second', 'dir=/\nstart=sleep 1003\n')
    w.rescan('david')
    assert 'amy/second' not in w.rows()
    w.rescan('amy')
    w.up('amy/second')


def mended_conf_starts(w):
    """A conf that was refused starts after it was mended and rescanned."""
    path = w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o664)
    w.start()
    w.wait_note('david/bad', 'chmod')
    os.chmod(path, 0o644)
    w.rescan('david')
    w.up('david/bad')
    assert 'chmod' not in w.dmctl('david', 'status').text


def dormant_user(w):
    """Nothing is created in the home of a listed user until he says rescan; then he has folder, socket and all."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    assert os.listdir('/home/carol') == []
    w.rescan('carol')
    info = os.stat('/home/carol/.daemon-manager')
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (1004, 1004, 0o700)
    assert os.path.isdir('/home/carol/.daemon-manager/daemons')
    world.wait_for(lambda: os.path.exists('/home/carol/.daemon-manager/command.sock'), "carol's socket")
    w.conf('carol', 'first', 'dir=/\nstart=sleep 1002\n')
    w.rescan('carol')
    w.up('carol/first')


def a_home_that_is_closed(w):
    """A home that its owner cannot enter costs him his daemons, and nobody else anything."""
    os.chown('/home/bob', 0, 0)
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    answer = w.dmctl('bob', 'rescan')
    assert answer.code == 1 and '/home/bob' in answer.text, repr(answer)


def rescan_is_for_ones_own(w):
    """rescan without -u reads one's own confs alone, for root everyone's; who only manages others is told whose he may name, and that he
    may have no daemons."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start('[runs_as]\ndavid\namy\n[manages]\nhelpdesk: david, amy\namy: david\n')
    w.up('david/web')
    w.conf('david', 'new', 'dir=/\nstart=sleep 1002\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1003\n')
    said = w.dmctl('helpdesk', 'rescan').exits(4).says('you may have no daemons', '[runs_as]', 'dmctl rescan -u USER')
    assert 'david, amy' in said.text or 'amy, david' in said.text, said
    said = w.dmctl('amy', 'rescan').exits(0).says('amy/radio')
    assert 'david' not in said.text and not w.find('sleep 1002'), said
    w.dmctl('helpdesk', 'rescan', '-u', 'helpdesk').exits(4).says('helpdesk may have no daemons')
    for words in (('check',), ('enable', 'x'), ('edit', 'x')):
        w.dmctl('helpdesk', *words).says('if you may have daemons', '[runs_as] in /etc/daemon-manager.conf')
    w.conf('david', 'bad', 'start=sleep 1004\n')
    said = w.dmctl('helpdesk', 'new', 'x', '--dir=/', '--start=sleep 1').exits(4).says('you may have no daemons')
    assert 'bad' not in said.text, said
    w.dmctl('helpdesk', 'rescan', '-u', 'david').exits(1).says('david/new', 'bad.conf')
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1004\n')
    w.dmctl('root', 'rescan').exits(0).says('david/bad', 'amy')
    os.unlink(w.conf_path('david', 'bad'))
    w.dmctl('david', 'rescan').exits(0).says('david/bad: its conf is gone')


def every_fault(w):
    """Where a conf has several faults, the first is told with how many more there are, and that check tells them."""
    w.conf('david', 'bad', 'dir=/\nstop_timeout=ten\nautostart=perhaps\nstop_signal=LOUD\nstart=sleep 1001\n')
    w.refuses('bad.conf:2:14', '(and 2 more: dmctl check bad)')


def _run_and_spoil(w, confs):
    """Starts web and the two of many by their confs, which have a fault from then on. Returns their pids by their names."""
    for name, text in confs.items():
        w.conf('david', name, text)
    w.start()
    pids = {name: w.up(f'david/{name}') for name in ('web', 'many:1', 'many:2')}
    for name, text in confs.items():
        w.conf('david', name, text.replace('/\n', '/\nstop_timeout=ten\n'))
    return pids


def restart_reads_first(w):
    """A restart of what runs reads its conf first: where that has got a fault since, it runs on as it was, and says so; so do instances."""
    confs = {'web': 'dir=/\nstart=sleep 1001\n', 'many': 'dir=/\ninstances=2\nstart=sleep 1002\n'}
    pids = _run_and_spoil(w, confs)
    for words in (('restart', 'web'), ('restart', 'many'), ('try-restart', 'many:1')):
        w.dmctl('david', *words).exits(1).says(':2:14: found', 'it was not restarted and runs on as it was')
    assert pids == {name: w.up(f'david/{name}') for name in pids}
    w.conf('david', 'web', 'dir=/\nstart=sleep 1003\n')
    w.conf('david', 'many', 'dir=/\ninstances=2\nstart=sleep 1004\n')
    w.dmctl('david', 'restart', 'web', 'many').exits(0)
    assert all(w.up(f'david/{name}') != pid for name, pid in pids.items())
    assert w.find('sleep 1003') and len(w.find('sleep 1004')) == 2


def fault_amid_a_restart(w):
    """Where a conf gets a fault, and that is read, while its instances are being restarted, those that are left run on as they were."""
    text = 'dir=/\ninstances=2\nbefore=while test -e /tmp/hold; do sleep 0.05; done\nstart=sleep 1001\n'
    w.conf('david', 'many', text)
    w.start()
    w.up('david/many:1')
    pid = w.up('david/many:2')
    world.write('/tmp/hold', '')
    asked = w.background('david', world.DMCTL, 'restart', 'many')
    w.wait_state('david/many:1', 'starting')
    w.conf('david', 'many', text + 'stop_timeout=ten\n')
    w.dmctl('david', 'rescan').exits(1)
    os.unlink('/tmp/hold')
    said = asked.communicate(timeout=world.PATIENCE)[0]
    assert asked.returncode == 1 and 'many:2: ' in said and 'runs on as it was' in said, said
    assert w.up('david/many:2') == pid
    w.up('david/many:1')


def crash_with_a_fault(w):
    """One that runs by an old conf, and crashes when the one on the disk has a fault, is not started again; its status, its log and the
    manager's say so, with the place of the fault and what to do, until that is mended."""
    confs = {'web': 'dir=/\noutput=log\nstart=sleep 1001\n', 'many': 'dir=/\noutput=log\ninstances=2\nstart=sleep 1002\n'}
    pids = _run_and_spoil(w, confs)
    w.conf('david', 'another', 'dir=/\nstart=sleep 1003\n')  # their places in the book are others
    w.dmctl('david', 'rescan').exits(1)
    assert 'not started again' not in w.log() + w.dmctl('david', 'status').out
    for name in ('web', 'many:2'):
        os.kill(pids[name], signal.SIGKILL)
        row = w.wait_state(f'david/{name}', 'stopped')
        path = w.conf_path('david', name.partition(':')[0])
        found = f"{path}:2:14: found 'ten' after stop_timeout=, expected "
        for text in (w.dmctl('david', 'status', *words).out for words in ((), (name,), ('-l', name))):
            assert found in text and f'it is not started again before that is mended (then dmctl start david/{name} does it)' in text, text
        assert row.respawns == 0 and row.cooldown == '0s', row
        w.wait_log(f'david/{name} is not started again: {found}', f'dmctl start david/{name} starts it when that is mended')
        world.wait_for(lambda: f'--- not started again: {os.path.basename(path)}:2:14 has a fault, which dmctl check {name.partition(":")[0]} tells; mend it, then dmctl start {name} ---'
                       in w.dmctl('david', 'log', name).out, 'its log says so')
        assert w.log().count(f'david/{name} is not started again') == w.dmctl('david', 'log', name).out.count('not started again') == 1
    assert w.up('david/many:1') == pids['many:1'] and 'not started' not in w.dmctl('david', 'log', 'many:1').out
    for name, text in confs.items():
        w.conf('david', name, text)
    w.dmctl('david', 'start', 'web').exits(0)
    w.up('david/many:2')
    assert 'not started again' not in w.dmctl('david', 'status').out
