"""A home that several hosts share: host= in a conf says where its daemon runs."""
import socket

import world


def runs_here_only(w):
    """A daemon with host= of another machine does not run here, and status says why; globs and lists mean this one too."""
    here = socket.gethostname().split('.')[0]
    w.conf('david', 'mine', f'dir=/\nhost=elsewhere, {here[0]}*\nstart=sleep 1001\n')
    w.conf('david', 'other', 'dir=/\nhost=elsewhere\nstart=sleep 1002\n')
    w.start()
    w.up('david/mine')
    assert w.row('david/other').state == 'stopped'
    w.wait_note('david/other', 'host=', here)
    w.dmctl('david', 'start', 'other').exits(1).says('host=')
    assert not w.find('sleep 1002')


def moves_to_another_host(w):
    """When host= is changed to another machine, rescan stops the daemon here; when it comes back, it starts again."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.start()
    w.up('david/web')
    w.conf('david', 'web', 'dir=/\nhost=elsewhere\nstart=sleep 1001\n')
    w.rescan('david')
    w.wait_state('david/web', 'stopped')
    assert not w.find('sleep 1001')
    w.conf('david', 'web', f'dir=/\nhost={socket.gethostname()}\nstart=sleep 1001\n')
    w.rescan('david')
    w.up('david/web')
