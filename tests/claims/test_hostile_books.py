"""A dm-scan that was taken over, in its owner's place: its books cost him his daemons, and nobody else anything."""
import contextlib
import os
import shutil

import world
from hostile import CONFIG, compile, scene

SCAN = world.HELPERS + '/dm-scan'
SEAL, SHRINK, GROW, WRITE, FUTURE = 1, 2, 4, 8, 16
ALL = SEAL | SHRINK | GROW | WRITE


def _order(text):
    world.write('/tmp/scan', text + '\n')


@contextlib.contextmanager
def _books(w):
    """The scene, with the hostile dm-scan installed; it is honest until it has an order."""
    os.rename(SCAN, SCAN + '.real')
    try:
        shutil.copy(compile('hostile_scan.cc'), SCAN)
        os.chmod(SCAN, 0o711)
        _order('honest')
        with scene(w) as it:
            it.fresh(CONFIG.replace('amy: daemons=3, starts=1\n', ''))
            for name in it.daemons:
                w.up(name)
            yield it
    finally:
        os.rename(SCAN + '.real', SCAN)


def _refused(w, it, order):
    """amy's books after this order are not taken: nothing of hers starts anew, and everything else goes on."""
    worker = w.worker()
    _order(order)
    w.dmctl('amy', 'rescan').exits(1).says('the confs of amy could not be read (dm-scan failed)')
    assert w.worker() == worker, w.log()
    it.unharmed()
    w.dmctl('david', 'rescan').exits(0)


def without_seals(w):
    """A book that lacks any of its seals, or has another, is not taken, be it the full one or the worker's. Claim: books-sealed."""
    with _books(w) as it:
        for less in (SEAL, SHRINK, GROW, WRITE, ALL):
            _refused(w, it, f'seals {ALL & ~less} {ALL}')
            _refused(w, it, f'seals {ALL} {ALL & ~less}')
        _refused(w, it, f'seals {ALL | FUTURE} {ALL}')
        _order(f'seals {ALL} {ALL}')  # the very same books, sealed
        w.dmctl('amy', 'rescan').exits(0)
        assert w.rows()['amy/radio'].state == 'running'
        it.unharmed()


def of_any_size(w):
    """A book that is empty, or larger than its owner's limit, is not taken, and a dm-scan that fails is told as such.
    Claim: books-sealed."""
    with _books(w) as it:
        for order in ('sizes 0 0', 'sizes 4 4096', 'sizes 3145728 4096', 'sizes 2147483647 2147483647', 'exit 0', 'exit 1', 'exit 255'):
            _refused(w, it, order)
        _order('honest')
        w.dmctl('amy', 'restart', 'radio').exits(0)
        it.daemons['amy/radio'] = w.up('amy/radio')
        it.unharmed()


def noise(w):
    """Books of noise, sealed, start nothing as anybody but their owner, and neither worker nor others notice. Claim: hostile-books."""
    with _books(w) as it:
        for seed in range(1, 25):
            _order(f'noise {seed} {seed % 7 + 1}')
            worker = w.worker()
            w.dmctl('amy', 'rescan')
            w.dmctl('amy', 'restart', 'all', '--no-wait')
            assert w.worker() == worker, w.log()
            it.daemons['amy/radio'] = 0  # whatever became of it: it is amy's
            it.unharmed(but='amy')
        w.dmctl('david', 'restart', 'web').exits(0)
        it.daemons['david/web'] = w.up('david/web')
        it.unharmed(but='amy')


def one_to_judge_another_to_run(w):
    """Where the book that is judged and the book that is run are not the same, nothing runs as anybody but whom the worker named
    and root allowed. Claims: hostile-books, target-as-written."""
    with _books(w) as it:
        for user in ('www-data', 'root', 'david', '0', '_daemon-manager'):
            _order(f'two {ALL} {ALL} user={user}')
            w.dmctl('amy', 'rescan')
            w.dmctl('amy', 'restart', 'radio').exits(1)
            it.daemons['amy/radio'] = 0
            it.unharmed()
        _order('honest')
        w.dmctl('amy', 'rescan')
        w.dmctl('amy', 'start', 'radio').exits(0)
        it.daemons['amy/radio'] = w.up('amy/radio')
        it.unharmed()
