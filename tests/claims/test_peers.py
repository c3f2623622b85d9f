"""Who a peer is, is what the kernel said when he connected: nothing that he is or becomes besides counts."""
import os
import shutil
import subprocess

import world

SHARED, ROOTS = world.RUN_DIR + '/command.sock', world.RUN_DIR + '/root.sock'

# Connects as `first`, goes on as `then` (real, effective and saved uid), and asks for a stop.
CHANGER = '''
import os, socket, struct, sys
path, first, then, name = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3]), sys.argv[4]
os.setgroups([])
os.setresuid(*first)
s = socket.socket(socket.AF_UNIX)
s.connect(path)
if 0 in os.getresuid():
    os.seteuid(0)
os.setresuid(*then)
assert -1 in then or os.getresuid() == then
payload = b"".join(field.encode() + b"\\0" for field in ("stop", "", "", name))
s.sendall(struct.pack("<II", 0x31434d44, len(payload)) + payload)
said = b""
while part := s.recv(65536):
    said += part
print(said.decode(errors="replace").replace("\\0", " "))
'''


def _both(w):
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start()
    return w.up('david/web'), w.up('amy/radio')


def _change(w, path, first, then, name='david/web'):
    return w.run('root', '/usr/bin/python3', '-c', CHANGER, path, str(first), str(then), name).exits(0)


def changed_after_connecting(w):
    """A peer that connects as one user and becomes another, or root, before it asks, is who it was when it connected.
    Claim: peer-is-kernels."""
    web, radio = _both(w)
    for then in ((0, 0, 0), (0, 1000, 0), (1001, 0, 0)):
        for first in ((0, 1001, 0), (1000, 1001, 0)):
            _change(w, SHARED, first, then).says('not permitted')
    assert w.up('david/web') == web and 'amy (uid 1001): stop david/web: not permitted' in w.log()
    assert 'david (uid 1000)' not in w.log() and 'uid 0: stop' not in w.log(), w.log()
    # And the other way round: who was david when he connected stops what is david's, and nothing of amy's, whom he became.
    _change(w, SHARED, (0, 1000, 0), (1001, 1001, 1001), 'amy/radio').says('not permitted')
    assert w.up('amy/radio') == radio
    _change(w, SHARED, (0, 1000, 0), (1001, 1001, 1001))
    w.wait_state('david/web', 'stopped')


# A world is a chroot, in which nobody may make a user namespace: so these peers step out of it, and hold only its /run.
def _outside(w, uid, *argv):
    place = os.open(world.RUN_DIR, os.O_PATH)
    try:
        argv = [text.replace(world.RUN_DIR, f'/proc/self/fd/{place}') for text in argv]
        return w.run('root', 'nsenter', '--mount=/proc/self/ns/mnt', 'setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups', *argv,
                     pass_fds=(place,))
    finally:
        os.close(place)


# Asks as whoever it is, which must be `inside`.
def _asker(inside):
    return ['/usr/bin/python3', '-c', CHANGER.replace('os.setgroups([])', f'assert os.getresuid() == ({inside},) * 3, os.getresuid()')]


SAME = ['(-1, -1, -1)', '(-1, -1, -1)']


def from_a_user_namespace(w):
    """Who is root, or another user, in a user namespace of his own is himself to the manager: he gets what is his and nothing more, and
    neither root's socket nor root's files. Claim: peer-is-kernels."""
    web, _ = _both(w)
    for inside in (0, 1000, 990):
        ask = ['unshare', '--user', f'--map-user={inside}', *_asker(inside)]
        _outside(w, 1001, *ask, SHARED, *SAME, 'david/web').exits(0).says('not permitted')
        _outside(w, 1001, *ask, ROOTS, *SAME, 'david/web').exits(1).says('Permission denied')
        _outside(w, 1001, *ask[:3], 'cat', world.RUN_DIR + '/state').exits(1).says('Permission denied')
    assert w.up('david/web') == web and w.log().count('amy (uid 1001): stop david/web: not permitted') == 3, w.log()
    _outside(w, 1001, 'unshare', '--user', '--map-root-user', *_asker(0), SHARED, *SAME, 'amy/radio').exits(0)
    w.wait_state('amy/radio', 'stopped')


def from_a_mapped_namespace(w):
    """In a namespace whose users root has mapped to a range of their own, one with the number of root, or of a listed user, is nobody
    to the manager. Claim: peer-is-kernels."""
    web, _ = _both(w)
    made = 'import os, sys, time; print("made", flush=True); sys.stdin.read()'
    waiting = subprocess.Popen(['nsenter', '--mount=/proc/self/ns/mnt', 'setpriv', '--reuid=1005', '--regid=1005', '--clear-groups',
                                'unshare', '--user', 'python3', '-c', made], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert waiting.stdout.readline() == 'made\n'
    for kind in ('gid', 'uid'):
        with open(f'/proc/{waiting.pid}/{kind}_map', 'w') as mapped:
            mapped.write('0 100000 65536')
    for uid in (0, 1000):
        w.run('root', 'nsenter', '-t', str(waiting.pid), '-U', '--setuid', str(uid), '--setgid', str(uid), *_asker(uid), SHARED, *SAME,
              'david/web').exits(0).says('not permitted')
        assert f'uid {100000 + uid}: stop : not permitted: not listed' in w.log(), w.log()
    waiting.communicate()
    assert w.up('david/web') == web


def setuid_program(w):
    """A setuid program speaks as whom it runs for, never as who started it, nor as both: david, who runs amy's, is amy; and when the
    program has dropped that again before it connects, he is himself. Claim: peer-is-kernels."""
    web, radio = _both(w)
    trap = '/srv/dmctl-of-amy'
    shutil.copy(world.DMCTL, trap)
    os.chown(trap, 1001, 1001)
    os.chmod(trap, 0o4755)
    w.run('david', trap, 'stop', 'david/web').exits(4).says('not permitted')
    assert w.up('david/web') == web and 'amy (uid 1001): stop david/web: not permitted' in w.log(), w.log()
    w.run('eve', trap, 'restart', 'amy/radio').exits(0)  # as amy wished it who made it
    assert w.up('amy/radio') != radio
    dropper = '/srv/python-of-amy'
    shutil.copy(os.path.realpath('/usr/bin/python3'), dropper)
    os.chown(dropper, 1001, 1001)
    os.chmod(dropper, 0o4755)
    ask = [dropper, '-I', '-c', CHANGER.replace('os.setgroups([])', ''), SHARED, '(1000, 1000, 1000)', '(1000, 1000, 1000)']
    w.run('david', *ask, 'amy/radio').exits(0).says('not permitted')
    w.run('david', *ask, 'david/web').exits(0)
    w.wait_state('david/web', 'stopped')


def nothing_is_setuid(w):
    """Nothing that is installed is setuid or setgid, or has capabilities of its own. Claim: peer-is-kernels."""
    programs = [world.MANAGER, world.DMCTL, *(f'{world.HELPERS}/{name}' for name in os.listdir(world.HELPERS))]
    assert len(programs) == 8
    for path in programs:
        assert os.stat(path).st_mode & 0o6000 == 0, path
        assert 'security.capability' not in os.listxattr(path), path
