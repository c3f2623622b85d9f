"""Logs that are lent: only who manages their owner gets one, and of the owner's files nothing but logs."""
import os
import re
import socket
import struct

import world
from hostile import scene

CONFIG = '[runs_as]\ndavid\namy\n[manages]\nhelpdesk: david\n'
LOG = '/home/david/.daemon-manager/logs/web.log'
PLACE = '/run/daemon-manager/read/0'
SECRET = 'a secret of root\n'
# Connects as whoever runs it, asks for a file by number, and prints what comes of it.
READER = '''#!/usr/bin/python3
import array, os, socket, struct, sys
it = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    it.connect(sys.argv[1])
    for request in sys.argv[2:]:
        it.send(bytes.fromhex(request))
        data, control, *_ = it.recvmsg(64, 4096)
        if not data:
            sys.exit('turned away')
        fds = [fd for *_, bytes_ in control for fd in array.array('i', bytes_)]
        print('errno', struct.unpack('i', data)[0], *(os.read(fd, 4096) for fd in fds))
except OSError as why:
    sys.exit(f'turned away: {why.strerror}')
'''


def _start(w):
    w.script('/srv/reader', READER)
    w.conf('david', 'web', 'dir=/\nstart=echo hello; exec sleep 1006\noutput=log\n')
    w.start(CONFIG)
    w.up('david/web')
    world.wait_for(lambda: 'hello' in w.dmctl('david', 'log', 'web').out, 'it wrote')


def _expected(w):
    """The helpdesk has asked, and is expected."""
    w.dmctl('helpdesk', 'log', 'david/web').exits(0)
    return os.stat(PLACE)


def _request(number, packed=0):
    return struct.pack('II', number, packed).hex()


def _logger(w):
    return [pid for pid in w.of_user('david') if w.command_of(pid)[:1] == ['dm-log']]


def others_are_turned_away(w):
    """At the socket at which a reader is expected only he gets anything: others may not connect, and one of his group is turned away,
    while he is still served. Claim: logs-lent."""
    _start(w)
    place = _expected(w)
    helpdesk = world.USERS['helpdesk'][0]
    assert (place.st_uid, place.st_gid, place.st_mode & 0o777) == (0, helpdesk, 0o660), place
    for user in ('amy', 'eve', 'www-data', '_daemon-manager'):
        answer = w.run(user, '/srv/reader', PLACE, _request(0))
        assert answer.code == 1 and 'Permission denied' in answer.err and 'hello' not in answer.text, repr(answer)
    eve = world.USERS['eve'][0]
    answer = w.run('root', 'setpriv', f'--reuid={eve}', f'--regid={helpdesk}', '--clear-groups', '/srv/reader', PLACE, _request(0))
    assert answer.code == 1 and 'turned away' in answer.err and 'hello' not in answer.text, repr(answer)
    assert 'hello' in w.run('helpdesk', '/srv/reader', PLACE, _request(0)).exits(0).out


def what_no_reader_sends(w):
    """Requests of other lengths, for numbers that cannot be, end the loan of whoever sent them; dm-log runs on. Claim: logs-lent."""
    _start(w)
    _expected(w)
    before = _logger(w)
    for wrong in (_request(1001), _request(0xffffffff), _request(0, 1), _request(1, 2), _request(0)[:-2], _request(0) + '00', 'ff' * 4096):
        answer = w.run('helpdesk', '/srv/reader', PLACE, wrong)
        assert answer.code == 1 and 'turned away' in answer.err, (wrong, repr(answer))
    assert 'hello' in w.run('helpdesk', '/srv/reader', PLACE, _request(0), _request(0)).exits(0).out
    assert _logger(w) == before


def no_other_file(w):
    """In the place of a log a link to root's file, a FIFO, a directory or another user's file is lent to nobody, nor is what a name
    of his leads to elsewhere. Claim: logs-lent."""
    _start(w)
    world.write('/root/secret', SECRET, 0o600)
    world.write('/home/amys', SECRET, 0o644, *world.USERS['amy'][:1] * 2)
    tricks = ((lambda path: os.symlink('/root/secret', path)), (lambda path: os.symlink('/etc/passwd', path)), os.mkfifo, os.mkdir,
              (lambda path: os.link('/home/amys', path)))
    for number, trick in enumerate(tricks, 1):
        path = f'{LOG}.{number}'
        trick(path)
        os.lchown(path, *world.USERS['david'][:1] * 2) if number < 5 else None
        _expected(w)
        answer = w.run('helpdesk', '/srv/reader', PLACE, _request(number)).exits(0)
        assert re.fullmatch(r'errno \d+\n', answer.out) and answer.out != 'errno 0\n', (number, repr(answer))
    assert SECRET.strip() not in w.dmctl('helpdesk', 'log', 'david/web', '-n', '1000').text


def a_logs_folder_that_is_a_link(w):
    """A logs/ that leads elsewhere lends nothing of there. Claim: logs-lent."""
    _start(w)
    os.rename(os.path.dirname(LOG), '/home/david/elsewhere')
    os.symlink('/etc', os.path.dirname(LOG))
    w.dmctl('helpdesk', 'log', 'david/web').exits(1)
    answer = w.run('helpdesk', '/srv/reader', PLACE, _request(0)).exits(0)
    assert re.fullmatch(r'errno [1-9]\d*\n', answer.out), repr(answer)


def a_worker_that_lends(w):
    """A worker that was taken over can have a log lent to nobody but who manages its owner, and by doing it without end it stops
    nobody: what the reader gets passes it by. Claim: logs-lent."""
    with scene(w) as it:
        it.order('loan 3000')
        it.hears('lends at')
        it.unharmed()
        assert w.manager.poll() is None
        it.honest_again()
        it.unharmed()
        it.serves()
