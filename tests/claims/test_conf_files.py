"""Attacks by what stands in the place of a conf: nothing but an owner's own file is read, no byte of another file is shown, and
what was judged is what is run."""
import os
import signal

import attack
import world

CONF = 'dir=/\nstart=sleep 1001\n'
FORBIDDEN = 'Forbidden-q7x2'  # in each line of a file that david may not have read for him
TEXT = f'dir=/\nstart=touch /tmp/{FORBIDDEN}\n{FORBIDDEN}\n{FORBIDDEN}=1\nuser={FORBIDDEN}\nexport {FORBIDDEN}=1\n'


def _foreign(path, user, mode):
    ids = world.USERS[user][0]
    world.write(path, TEXT, mode, ids, ids)
    return path


def _nothing_shown(w, *said):
    """No byte of the forbidden file is in an answer, the log, or anything that the worker has; and it was not run."""
    for answer in (*said, *(w.dmctl(user, verb) for user in ('david', 'root') for verb in ('status', 'list', 'rescan'))):
        assert FORBIDDEN not in answer.text, repr(answer)
    assert not attack.places(w, FORBIDDEN.encode(), b'sleep 1999')
    assert not [name for name in os.listdir('/tmp') if name.startswith(FORBIDDEN)]


def writable_by_group(w):
    """A conf that its group may write to is refused, with its mode and the way out. Claim: conf-is-his-own."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o664)
    w.refuses('writ', 'chmod')


def writable_by_others(w):
    """A conf that others may write to is refused. Claim: conf-is-his-own."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n', 0o646)
    w.refuses('writ', 'chmod')


def foreign_owner(w):
    """A conf that belongs to somebody else is refused, with whose it is. Claim: conf-is-his-own."""
    path = w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n')
    os.chown(path, 1001, 1001)
    w.refuses('own', '1001')


def roots_conf_is_foreign_too(w):
    """A conf that belongs to root is not the owner's, and is refused. Claim: conf-is-his-own."""
    path = w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\n')
    os.chown(path, 0, 0)
    w.refuses('own')


def symbolic_link(w):
    """A symbolic link is refused, even to a conf of one's own. Claim: conf-is-his-own."""
    w.script('/home/david/real.conf', 'dir=/\nstart=sleep 1001\n', 'david', 0o644)
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.symlink('/home/david/real.conf', path)
    w.refuses('symbolic link')


def fifo(w):
    """A FIFO is refused and hangs nobody. Claim: conf-is-his-own."""
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.mkfifo(path, 0o600)
    os.chown(path, 1000, 1000)
    w.refuses('regular file')


def directory(w):
    """A directory with the name of a conf is refused. Claim: conf-is-his-own."""
    path = w.conf('david', 'bad', '')
    os.unlink(path)
    os.mkdir(path)
    os.chown(path, 1000, 1000)
    w.refuses('regular file')


def link_to_roots_file(w):
    """Of a file of root's that a symbolic link names no byte is shown or run, whether or not its owner could read it.
    Claim: conf-shows-nothing."""
    targets = [_foreign('/root/secret', 'root', 0o600), _foreign('/srv/public', 'root', 0o644), '/etc/shadow',
               '/proc/1/environ', '/dev/zero', '/run/daemon-manager/state']
    for number, target in enumerate(targets):
        os.symlink(target, os.path.dirname(w.conf('david', 'x', CONF)) + f'/bad{number}.conf')
    w.conf('david', 'bad', '')
    os.unlink(w.conf_path('david', 'bad'))
    os.symlink('/root/secret', w.conf_path('david', 'bad'))
    said = w.refuses(*(f'bad{number}.conf: is a symbolic link' for number in range(len(targets))))
    assert FORBIDDEN not in said and 'root:*' not in said
    _nothing_shown(w)


def hard_link_to_anothers_file(w):
    """A hard link to a file of another user, or of root's, is refused as not the owner's, and no byte of it is shown or run.
    Claims: conf-is-his-own, conf-shows-nothing."""
    w.conf('david', 'bad', '')
    os.unlink(w.conf_path('david', 'bad'))
    os.link(_foreign('/home/amy/private', 'amy', 0o600), w.conf_path('david', 'bad'))
    os.link(_foreign('/home/amy/public', 'amy', 0o644), w.conf_path('david', 'bad1'))
    os.link(_foreign('/home/root-public', 'root', 0o644), w.conf_path('david', 'bad2'))
    w.refuses('bad.conf: cannot be read: Permission denied', 'bad1.conf: belongs to uid 1001', 'bad2.conf: belongs to uid 0')
    _nothing_shown(w)


def sparse_gibibyte(w):
    """A conf of 1 GiB, all but its first lines a hole, is refused as too big and costs nobody else anything.
    Claims: conf-costs-its-owner, conf-is-bounded."""
    os.truncate(w.conf('david', 'bad', 'dir=/\nstart=touch /tmp/pwned\n'), 1 << 30)
    w.refuses('bad.conf: too big')
    sizes = [os.stat(path).st_size for pid in (w.manager.pid, w.worker()) for path in attack.memfds(pid)]
    assert len(sizes) >= 4 and max(sizes) < 4 << 20, sizes
    assert not os.path.exists('/tmp/pwned')


def one_of_100000(w):
    """100,000 confs are refused as a whole, with their number; what ran of that owner runs on, and others are served.
    Claims: conf-costs-its-owner, conf-is-bounded."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    path = w.conf('david', 'web', CONF)
    w.start()
    web = w.up('david/web')
    for number in range(99_999):
        os.link(path, f'{path[:-8]}n{number}.conf')
    w.dmctl('david', 'rescan').exits(1).says('100000 confs are more than anyone may have')
    assert w.up('david/web') == web
    w.dmctl('amy', 'restart', 'radio').exits(0)
    assert len(w.find('sleep 1001')) == 1
    w.stop(signal.SIGKILL)
    w.start()  # and the next manager finds them so
    w.wait_note('100000 confs')
    w.up('amy/radio')
    assert w.find('sleep 1001') == [web]


def _while_swapped(w, one, other, attempt):
    """Calls attempt() while two names are exchanged: 10,000 times at least, and until it has gone both ways."""
    swapper = attack.Swapper(w, 'david', one, other)
    outcomes = []
    def enough():
        outcomes.append(attempt())
        return swapper.count() > 10_000 and len(outcomes) >= 20 and len(set(outcomes)) > 1
    world.wait_for(enough, lambda: f'{swapper.count()} exchanges, {set(outcomes)}')
    assert swapper.end() > 10_000


def swapped_with_a_link(w):
    """A conf that is exchanged with a link to a file he may not use, 10,000 times while it is read and started, is either read or
    refused: of that file no byte is shown or run. Claims: conf-shows-nothing, judged-is-run."""
    w.conf('david', 'good', 'dir=/\nstart=sleep 1999\n')
    path = w.conf('david', 'web', CONF)
    os.symlink(_foreign('/srv/public', 'root', 0o644), path[:-5] + '.link')
    w.start('[runs_as]\ndavid\n[limits]\ndavid: starts=1000\n')
    said = []
    def attempt():
        said.append(w.dmctl('david', 'restart', 'web'))
        assert said[-1].code == 0 or 'symbolic link' in said[-1].text or 'there is no' in said[-1].text, repr(said[-1])
        return said[-1].code
    _while_swapped(w, path, path[:-5] + '.link', attempt)
    _nothing_shown(w, *said)
    w.dmctl('david', 'restart', 'web').exits(0)


def folder_swapped_with_a_link(w):
    """A folder of confs that is exchanged with a link to another's, 10,000 times while it is read, gives no daemon of that other's and no
    byte of his confs. Claims: conf-shows-nothing, home-links."""
    w.conf('david', 'good', 'dir=/\nstart=sleep 1999\n')
    w.conf('amy', 'theirs', TEXT)
    for folder in ('/home/amy', '/home/amy/.daemon-manager', '/home/amy/.daemon-manager/daemons'):
        os.chmod(folder, 0o755)
    folder = '/home/david/.daemon-manager/daemons'
    os.symlink('/home/amy/.daemon-manager/daemons', folder + '.link')
    w.start('[runs_as]\ndavid\n[limits]\ndavid: starts=1000\n')
    w.up('david/good')
    said = []
    def attempt():
        said.append(w.dmctl('david', 'rescan'))
        # It may be the folder again by the time that the reason why it could not be opened is looked for.
        assert said[-1].code == 0 or 'symbolic link' in said[-1].text or 'no regular directory' in said[-1].text, repr(said[-1])
        return said[-1].code
    _while_swapped(w, folder, folder + '.link', attempt)
    _nothing_shown(w, *said)
    assert set(w.rows()) == {'david/good'}


# Stands in dm-run's place, rewrites the conf at the very last moment, and goes on as dm-run.
REWRITER = """
#include <fcntl.h>
#include <unistd.h>
int main(int count, char **argv) {
  const char text[] = "dir=/\\nstart=touch /tmp/rewritten\\n";
  const int fd = open("/home/david/.daemon-manager/daemons/web.conf", O_WRONLY | O_TRUNC);
  if (count < 2 || write(fd, text, sizeof text - 1) < 0 || close(fd) != 0) return 1;
  execv("/usr/libexec/daemon-manager/dm-run.real", argv);
  return 1;
}
"""


def rewritten_before_the_run(w):
    """A conf that is rewritten after it was judged, in the last moment before dm-run reads its entry, is run as it was judged; what is
    new in it counts from the next reading on. Claim: judged-is-run."""
    path = w.conf('david', 'web', CONF)
    with attack.instead(REWRITER, 'dm-run'):
        w.start()
        pid = w.up('david/web')
        assert 'rewritten' in attack.read(path), 'the attack was not made'
        assert w.command_of(pid) == ['sleep', '1001'] and not os.path.exists('/tmp/rewritten')
        w.dmctl('david', 'rescan').exits(0)
        w.dmctl('david', 'restart', 'web', '--no-wait')
        world.wait_for(lambda: os.path.exists('/tmp/rewritten'), 'the new command runs')


def rewritten_before_a_respawn(w):
    """A conf that asks for more after its daemon was started gives a respawn no more than was judged.
    Claims: judged-is-run, runs-as-allowed."""
    w.conf('david', 'web', CONF)
    w.start()
    pid = w.up('david/web')
    w.conf('david', 'web', 'dir=/\nuser=amy\nstart=touch /tmp/rewritten\n')
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: w.rows()['david/web'].respawns == 1 and w.up('david/web'), 'it comes back')
    assert w.command_of(w.up('david/web')) == ['sleep', '1001']
    w.dmctl('david', 'restart', 'web').exits(1).says('amy', 'runs_as')
    assert not os.path.exists('/tmp/rewritten')


def swapped_with_another_conf(w):
    """Of two confs that are exchanged 10,000 times while they are read and started, each command runs as its own user= and never as
    the other's. Claims: judged-is-run, runs-as-allowed."""
    path = w.conf('david', 'web', 'dir=/\nuser=www-data\nstart=sleep 3033\n')
    os.rename(path, path[:-5] + '.other')
    w.conf('david', 'web', 'dir=/\nstart=sleep 4000\n')
    w.start('[runs_as]\ndavid: www-data\n[limits]\ndavid: starts=1000\n')
    def attempt():
        w.dmctl('david', 'restart', 'web').exits(0)
        pid = w.up('david/web')
        found = (w.command_of(pid)[1], w.status_of(pid)['Uid'].split())
        assert found in (('3033', ['33'] * 4), ('4000', ['1000'] * 4)), found
        return found[0]
    _while_swapped(w, path, path[:-5] + '.other', attempt)


def swapped_with_a_conf_for_another(w):
    """A conf that is exchanged 10,000 times with one for a user who is not allowed runs as allowed or is refused.
    Claim: runs-as-allowed."""
    path = w.conf('david', 'web', 'dir=/\nuser=amy\nstart=touch /tmp/as-amy\n')
    os.rename(path, path[:-5] + '.other')
    w.conf('david', 'web', CONF)
    w.start('[runs_as]\ndavid: www-data\n[limits]\ndavid: starts=1000\n')
    def attempt():
        answer = w.dmctl('david', 'restart', 'web')
        assert answer.code == 0 or 'runs_as' in answer.text, repr(answer)
        return answer.code
    _while_swapped(w, path, path[:-5] + '.other', attempt)
    assert not w.of_user('amy') and not os.path.exists('/tmp/as-amy')
