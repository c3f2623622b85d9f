"""Daemons' confs: each refusal with its own reason in `dmctl status`, and the others live on."""
import os

import world

GOOD = 'dir=/\nstart=sleep 1999\n'


def _beside_a_good_one(w, *words, config=None):
    """Starts the manager and waits for the words about david/bad; david/good must run beside it."""
    w.conf('david', 'good', GOOD)
    w.start(config)
    w.up('david/good')
    said = w.wait_note('david/bad', *words)
    rows = w.rows()
    assert 'david/bad' not in rows or rows['david/bad'].state == 'stopped', rows
    answer = w.dmctl('david', 'start', 'bad')
    assert answer.code == 1, repr(answer)
    return said


def writable_by_group(w):
    """A conf that its group may write to is refused, with its mode and the way out."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o664)
    _beside_a_good_one(w, 'writ', 'chmod')


def writable_by_others(w):
    """A conf that others may write to is refused."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o646)
    _beside_a_good_one(w, 'writ', 'chmod')


def foreign_owner(w):
    """A conf that belongs to somebody else is refused, with whose it is."""
    path = w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n')
    os.chown(path, 1001, 1001)
    _beside_a_good_one(w, 'own', '1001')


def roots_conf_is_foreign_too(w):
    """A conf that belongs to root is not the owner's, and is refused."""
    path = w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n')
    os.chown(path, 0, 0)
    _beside_a_good_one(w, 'own')


def symbolic_link(w):
    """A symbolic link is refused, even to a conf of one's own."""
    w.script('/home/david/real.conf', 'dir=/\nstart=sleep 1001\n', 'david', 0o644)
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.symlink('/home/david/real.conf', path)
    _beside_a_good_one(w, 'symbolic link')


def fifo(w):
    """A FIFO is refused and hangs nobody."""
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.mkfifo(path, 0o600)
    os.chown(path, 1000, 1000)
    _beside_a_good_one(w, 'regular file')


def directory(w):
    """A directory with the name of a conf is refused."""
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.mkdir(path)
    os.chown(path, 1000, 1000)
    _beside_a_good_one(w, 'regular file')


def unreadable(w):
    """A conf that its owner cannot read is refused, with the error."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o000)
    _beside_a_good_one(w, 'ermission denied')


def nul_byte(w):
    """A conf with a NUL is refused."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\0\n')
    _beside_a_good_one(w, 'NUL')


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
    _beside_a_good_one(w, ':3:1')


def bad_value(w):
    """A bad value is refused with its line, what was found and what was expected."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\nautostart=perhaps\n')
    _beside_a_good_one(w, ':3:', 'perhaps', 'yes or no')


def no_dir(w):
    """A conf without dir is refused."""
    w.conf('david', 'bad', 'start=sleep 1001\n')
    _beside_a_good_one(w, 'dir')


def no_start(w):
    """A conf without start is refused."""
    w.conf('david', 'bad', 'dir=/\n')
    _beside_a_good_one(w, 'start')


def unknown_key(w):
    """An unknown key is a warning that is shown, and the daemon runs."""
    w.conf('david', 'typo', 'dir=/\nstart=sleep 1001\nautostrat=no\n')
    w.start()
    w.up('david/typo')
    w.wait_note('david/typo', 'autostrat', 'autostart')


def user_not_permitted(w):
    """A user= that root has not allowed is refused, with the line root would have to write."""
    w.conf('david', 'bad', 'dir=/\nuser=amy\nstart=sleep 1001\n')
    _beside_a_good_one(w, 'amy', 'runs_as')
    assert not w.find('sleep 1001')


def user_root_not_permitted(w):
    """user=root is refused for everybody but root."""
    w.conf('david', 'bad', 'dir=/\nuser=root\nstart=sleep 1001\n')
    _beside_a_good_one(w, 'root')
    assert not w.find('sleep 1001')


def user_by_number(w):
    """user= never takes a number, not even one's own."""
    w.conf('david', 'bad', 'dir=/\nuser=1000\nstart=sleep 1001\n')
    _beside_a_good_one(w, ':2:', '1000')
    assert not w.find('sleep 1001')


def unknown_user(w):
    """user= with a name that nobody has is refused."""
    w.conf('david', 'bad', 'dir=/\nuser=nosuchuser\nstart=sleep 1001\n')
    _beside_a_good_one(w, 'nosuchuser')


def folder_of_somebody_else(w):
    """A ~/.daemon-manager that is not the owner's is refused as a whole, and others live on."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    os.chown('/home/david/.daemon-manager', 1001, 1001)
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    assert not w.find('sleep 1001')
    answer = w.dmctl('david', 'rescan')
    assert '.daemon-manager' in answer.text, repr(answer)


def folder_that_others_may_write(w):
    """A ~/.daemon-manager/daemons that others may write to is refused as a whole."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    os.chmod('/home/david/.daemon-manager/daemons', 0o777)
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    w.up('amy/radio')
    assert not w.find('sleep 1001')
    answer = w.dmctl('david', 'rescan')
    assert 'daemons' in answer.text, repr(answer)


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
