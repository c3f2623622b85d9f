"""A stop that comes while a start is on its way counts: what was asked for before it does not happen after it."""
import world


def _all_stay_stopped(w, names):
    for _ in range(3):
        w.dmctl('david', 'rescan').exits(0)  # whatever was on its way has come
    rows = w.rows('david')
    assert all(rows[f'david/{name}'].state == 'stopped' for name in names), rows


def start_then_stop(w):
    """Of thirty that are being started each that is stopped at that moment stays stopped, and says so."""
    names = [f'q{number}' for number in range(30)]
    for name in names:
        w.conf('david', name, 'dir=/\nautostart=no\nstart=sleep 4601\n')
    w.start()
    w.rescan('david')
    for _ in range(3):
        w.dmctl('david', 'start', 'q*', '--no-wait').exits(0)
        for name in reversed(names):
            w.dmctl('david', 'stop', name).exits(0)
        _all_stay_stopped(w, names)


def restart_then_stop(w):
    """The same of those that are being restarted, and no end is told twice in their history."""
    names = [f'q{number}' for number in range(30)]
    for name in names:
        w.conf('david', name, 'dir=/\nstart=sleep 4602\n')
    w.start('[runs_as]\ndavid\n[limits]\n*: starts=1000\n')
    for _ in range(3):
        w.dmctl('david', 'start', 'all').exits(0)
        w.dmctl('david', 'restart', 'all', '--no-wait').exits(0)
        for name in reversed(names):
            w.dmctl('david', 'stop', name).exits(0)
        _all_stay_stopped(w, names)
        for name in names:
            events = [line[21:] for line in w.dmctl('david', 'history', name).exits(0).out.splitlines()[1:]]
            assert not any(one.startswith('stopped') and other.startswith('stopped') for one, other in zip(events, events[1:])), events
