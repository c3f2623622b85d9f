"""A client that is no dmctl: any bytes, over any command socket, as any user. For the tests that are about clients."""
import contextlib
import os
import pwd
import socket
import struct

import world

SHARED = world.RUN_DIR + '/command.sock'
REQUEST = 0x31434d44  # src/lib/client.hh: FrameKind
OUTCOME, TEXT, END = 2, 3, 4
MOST = 64 * 1024      # max_request


def home_socket(w, user):
    """The socket in a user's home, as soon as it is there."""
    path = w.home(user) + '/.daemon-manager/command.sock'
    world.wait_for(lambda: os.path.exists(path), path)
    return path


@contextlib.contextmanager
def acting_as(user):
    """The effective ids of `user`, by which the kernel judges and names a peer, for as long as it lasts."""
    entry = pwd.getpwnam(user)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def connect(user, path=SHARED, timeout=20):
    """A connection of `user`: the peer that the kernel names is him."""
    made = socket.socket(socket.AF_UNIX)
    with acting_as(user):
        made.connect(path)  # without a timeout, so that it waits where the backlog is full
    made.settimeout(timeout)
    return made


def frame(payload, kind=REQUEST, size=None):
    return struct.pack('<II', kind, len(payload) if size is None else size) + payload


def request(verb, *ids, flags='', user=''):
    return frame(b''.join(field.encode() + b'\0' for field in (verb, flags, user, *ids)))


def send(sock, data):
    """Sends what the other side takes; it may hang up at any time."""
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        sock.sendall(data)


def read(sock):
    """All that comes until the other side closes."""
    said = b''
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65536):
            said += part
    return said


def frames(said):
    """[(kind, [field])] of an answer; fails where it is cut short."""
    found = []
    while said:
        kind, size = struct.unpack_from('<II', said)
        assert len(said) >= 8 + size, f'an answer that is cut short: {said[-200:]}'
        found.append((kind, said[8:8 + size].decode(errors='replace').split('\0')[:-1]))
        said = said[8 + size:]
    return found


def ask(user, data, path=SHARED):
    """One request and its whole answer: the frames. The last is the end."""
    with connect(user, path) as sock:
        send(sock, data)
        answer = frames(read(sock))
    assert answer and answer[-1][0] == END, answer[-3:]
    return answer
