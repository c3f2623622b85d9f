"""requires= and after=: what starts before what, what is refused, and what is stopped first."""
import os
import signal

import server
import world
import wreck
from terminal import Terminal

# Writes to one file when it starts and stops; is ready when /tmp/hold.NAME is not there.
DAEMON = '''#!/bin/sh
trap 'sleep 0.05; echo "stop $1" >> /tmp/events; exit 0' TERM
echo "start $1" >> /tmp/events
while [ -e /tmp/hold.$1 ]; do sleep 0.02; done
test ! -e /tmp/fail.$1 || exit 4
echo "ready $1" >> /tmp/events
echo >&3
while :; do sleep 0.02; done
'''


def _conf(w, name, lines='', owner='david'):
    w.script('/srv/daemon', DAEMON)
    w.conf(owner, name, f'dir=/\nstart=/srv/daemon {name}\nready=fd:3\n{lines}')


def _events():
    if not os.path.exists('/tmp/events'):
        return []
    with open('/tmp/events') as events:
        return events.read().splitlines()


def _clear():
    os.unlink('/tmp/events')


def _before(*events):
    world.wait_for(lambda: set(events) <= set(_events()), lambda: f'{events} in {_events()}')
    said = _events()
    at = [said.index(event) for event in events]
    assert at == sorted(at), said


def starts_in_order(w):
    """At the manager's start what is required is ready before what requires it starts, and all else starts beside it."""
    _conf(w, 'app', 'requires=db, cache\n')
    _conf(w, 'cache', 'requires=disk\n')
    _conf(w, 'db', 'requires=disk\n')
    _conf(w, 'disk')
    _conf(w, 'other')
    world.write('/tmp/hold.disk', '')
    w.start()
    w.up('david/other')
    w.wait_state('david/app', 'waiting')
    w.wait_state('david/disk', 'starting')
    assert not {'start db', 'start cache', 'start app'} & set(_events()), _events()
    w.wait_note('david/db: waits for david/disk')
    os.unlink('/tmp/hold.disk')
    w.up('david/app')
    _before('ready disk', 'start db', 'ready db', 'start app')
    _before('ready disk', 'start cache', 'ready cache', 'start app')


def start_brings_what_it_requires(w):
    """start starts what is required first, and a task counts when it is done; after= alone starts nothing."""
    _conf(w, 'app', 'requires=db, migrate\nafter=mail\nautostart=no\n')
    _conf(w, 'db', 'autostart=no\n')
    _conf(w, 'mail', 'autostart=no\n')
    w.script('/srv/migrate', '#!/bin/sh\necho "start migrate" >> /tmp/events\nsleep 0.1\necho "done migrate" >> /tmp/events\n')
    w.conf('david', 'migrate', 'dir=/\nstart=/srv/migrate\ntype=task\nautostart=no\n')
    w.start()
    w.wait_state('david/app', 'stopped')
    w.dmctl('david', 'start', 'app').exits(0)
    _before('ready db', 'start app')
    _before('done migrate', 'start app')
    assert w.row('david/migrate').state == 'done' and w.row('david/mail').state == 'stopped'


def start_fails_with_what_it_requires(w):
    """Where what is required fails, the start fails and says so; it goes on when that runs after all."""
    _conf(w, 'app', 'requires=db\nautostart=no\n')
    _conf(w, 'db', 'autostart=no\ncooldown=100ms\n')
    world.write('/tmp/fail.db', '')
    w.start()
    w.wait_state('david/app', 'stopped')
    w.dmctl('david', 'start', 'app').exits(1).says('david/app', 'requires david/db', 'exit code 4')
    w.dmctl('david', 'history', 'app').exits(0).says('start failed by david: one that it requires does not run')
    w.wait_state('david/app', 'waiting')
    os.unlink('/tmp/fail.db')
    w.up('david/app')


def reload_starts_nothing_that_was_given_up(w):
    """What was given up, or is done, stays so over a reload and another worker, though what requires it is meant to run."""
    _conf(w, 'app', 'requires=never\n')
    _conf(w, 'other', 'requires=once\n')
    for name, code in (('never', 3), ('once', 0)):
        w.script(f'/srv/{name}', f'#!/bin/sh\necho "start {name}" >> /tmp/events\nexit {code}\n')
        w.conf('david', name, f'dir=/\nstart=/srv/{name}\nready=notify\nrestart=on-failure\ngive_up_after=1/1m\n')
    w.start('[runs_as]\ndavid\n')
    for _ in range(2):
        w.wait_state('david/never', 'failed')
        w.wait_state('david/once', 'done')
        w.wait_state('david/app', 'waiting')
        w.wait_state('david/other', 'waiting')
        before = _events()
        w.reload('[runs_as]\ndavid: www-data\n')
    world.wait_for(lambda: w.dmctl('david', 'rescan').code == 0, 'david is served')
    w.wait_state('david/app', 'waiting')
    assert _events() == before and 'another requires it' not in w.log(), w.log()
    assert w.row('david/never').state == 'failed' and w.row('david/once').state == 'done'


def crash_stops_nobody(w):
    """A crash of what is required, and its restart, stop nobody."""
    _conf(w, 'app', 'requires=db\n')
    _conf(w, 'db')
    w.start()
    app, db = w.up('david/app'), w.up('david/db')
    os.kill(db, signal.SIGKILL)
    world.wait_for(lambda: w.row('david/db').pid not in (0, db) and w.row('david/db').state == 'running', 'it is back')
    w.dmctl('david', 'restart', 'db').exits(0)
    assert w.up('david/app') == app and 'stop app' not in _events()


def stop_is_refused(w):
    """What running daemons require is not stopped without them; with --with-dependants they go first."""
    _conf(w, 'app', 'requires=db\n')
    _conf(w, 'db')
    w.start()
    db = w.up('david/db')
    w.up('david/app')
    w.dmctl('david', 'stop', 'db').exits(1).says('david/db', 'david/app requires it', '--with-dependants')
    assert w.up('david/db') == db
    w.dmctl('david', 'stop', '--with-dependants', 'db').exits(0).says('david/app: stopped', 'david/db: stopped')
    _before('stop app', 'stop db')
    w.dmctl('david', 'start', 'db').exits(0)
    w.dmctl('david', 'stop', 'db').exits(0)
    w.dmctl('david', 'start', 'app').exits(0)
    w.dmctl('david', 'stop', 'db', 'app').exits(0)
    w.dmctl('david', 'start', '--with-dependants', 'app').exits(2)


def stop_asks_on_a_terminal(w):
    """On a terminal dmctl asks whether those that require it shall be stopped too; anything but y means no."""
    _conf(w, 'app', 'requires=db\n')
    _conf(w, 'db')
    w.start()
    w.up('david/app')
    for word, code, state in (('\n', 1, 'running'), ('n\n', 1, 'running'), ('y\n', 0, 'stopped')):
        Terminal(w, 'david', world.DMCTL, 'stop', 'db').answer('[y/N]', word).ends(code)
        assert w.row('david/db').state == state and w.row('david/app').state == state, w.rows()


def all_goes_backwards(w):
    """stop all and the manager's end stop those that depend first, and one that does not stop holds up no longer than its stop_timeout."""
    _conf(w, 'app', 'requires=db\n')
    _conf(w, 'db', 'requires=disk\n')
    _conf(w, 'disk')
    w.start()
    w.up('david/app')
    w.dmctl('david', 'stop', 'all').exits(0)
    _before('stop app', 'stop db', 'stop disk')
    w.script('/srv/hung', '#!/bin/sh\ntrap "" TERM\necho >&3\nwhile :; do sleep 0.05; done\n')
    w.conf('david', 'app', 'dir=/\nstart=/srv/hung\nrequires=db\nready=fd:3\nstop_timeout=300ms\n')
    w.dmctl('david', 'start', 'app').exits(0)
    _clear()
    assert w.stop() == 0
    _before('stop db', 'stop disk')


def cycles_are_refused(w):
    """A cycle is refused at rescan and drawn for each of its members; nobody else is touched, and it starts when it is broken."""
    _conf(w, 'ok')
    w.start()
    ok = w.up('david/ok')
    _conf(w, 'a', 'requires=b\n')
    _conf(w, 'b', 'after=c\n')
    _conf(w, 'c', 'requires=a\n')
    w.dmctl('david', 'rescan').exits(1).says('a -> b -> c -> a', 'b -> c -> a -> b', 'c -> a -> b -> c', '/a.conf', '/b.conf', '/c.conf')
    assert w.up('david/ok') == ok
    assert {w.row(f'david/{name}').state for name in 'abc'} == {'stopped'}
    w.dmctl('david', 'start', 'a').exits(1).says('a -> b -> c -> a')
    _conf(w, 'c')
    w.dmctl('david', 'rescan').exits(0)
    w.up('david/a')
    _before('ready b', 'start a')


def unknown_names(w):
    """A name in requires= that is none is refused with line and column, in the same words whether somebody else has such a daemon; in
    after= it is a warning."""
    _conf(w, 'secret', owner='bob')
    _conf(w, 'ok')
    w.start()
    w.up('david/ok')
    said = []
    for name in ('bob/secret', 'bob/nosuch', 'nobody-at-all/secret'):
        _conf(w, 'app', f'requires=ok, {name}\n')
        answer = w.dmctl('david', 'rescan').exits(1).says('/app.conf:4:14: ', name)
        said.append(answer.text.replace(name, 'X'))
    assert said[0] == said[1] == said[2], said
    _conf(w, 'app', 'after=nosuch\n')
    w.dmctl('david', 'rescan').exits(0).says('warning: ', '/app.conf:4:7: ', 'nosuch')
    w.up('david/app')
    _conf(w, 'app', 'requires=ok\n')
    w.dmctl('david', 'rescan').exits(0)


def of_those_one_manages(w):
    """One may require a daemon of whom one manages; whose own stop is not refused for a stranger's sake."""
    _conf(w, 'app', 'requires=david/db\n', owner='helpdesk')
    _conf(w, 'db', 'autostart=no\n')
    world.write('/tmp/hold.db', '')
    w.start('[runs_as]\ndavid\nhelpdesk\n[manages]\nhelpdesk: david\n')
    w.wait_state('david/db', 'starting')
    assert w.row('helpdesk/app').state == 'waiting'
    os.unlink('/tmp/hold.db')
    app = w.up('helpdesk/app')
    w.dmctl('helpdesk', 'stop', 'david/db').exits(1).says('helpdesk/app requires it')
    answer = w.dmctl('david', 'stop', 'db').exits(0)
    assert 'helpdesk' not in answer.text, repr(answer)
    assert w.up('helpdesk/app') == app


def outlives_the_worker(w):
    """What waits when the worker is killed waits on."""
    _conf(w, 'app', 'requires=db\n')
    _conf(w, 'db')
    world.write('/tmp/hold.db', '')
    w.start()
    w.wait_state('david/app', 'waiting')
    os.kill(w.worker(), signal.SIGKILL)
    w.wait_state('david/app', 'waiting')
    assert 'start app' not in _events()
    os.unlink('/tmp/hold.db')
    w.up('david/app')


def stop_outlives_the_manager(w):
    """A stop in whose midst worker or monitor is killed is completed, and what is required goes last as before."""
    w.script('/srv/hung', '#!/bin/sh\ntrap "touch /tmp/told" TERM\nwhile [ ! -e /tmp/go ]; do sleep 0.02; done\necho "stop app" >> /tmp/events\n')
    for kill in (wreck.kill_worker, wreck.kill_manager):
        w.reset()
        _conf(w, 'db')
        w.conf('david', 'app', 'dir=/\nstart=/srv/hung\nrequires=db\n')
        w.start()
        w.up('david/app')
        w.dmctl('david', 'stop', '--no-wait', 'all').exits(0)
        world.wait_for(lambda: os.path.exists('/tmp/told'), 'app was told to stop')
        kill(w)
        if kill == wreck.kill_manager:
            w.start()
        w.dmctl('david', 'rescan').exits(0)
        assert {w.row(f'david/{name}').state for name in ('app', 'db')} == {'stopping', 'running'}, w.rows()
        world.write('/tmp/go', '')
        w.wait_state('david/db', 'stopped')
        w.wait_state('david/app', 'stopped')
        _before('stop app', 'stop db')


def listens_until_the_others_are_gone(w):
    """One that is started by its first connection, and is to go after those that require it, listens for them also after the worker
    was killed."""
    w.script('/srv/server', server.SERVER)
    w.script('/srv/hung', '#!/bin/sh\ntrap "touch /tmp/told" TERM\nwhile [ ! -e /tmp/go ]; do sleep 0.02; done\n')
    w.conf('david', 'db', 'dir=/\nstart_on=connection\nlisten=/home/david/db.sock\nstart=/srv/server\n')
    w.conf('david', 'app', 'dir=/\nstart=/srv/hung\nrequires=db\n')
    w.start()
    w.up('david/app')
    w.dmctl('david', 'stop', '--no-wait', 'all').exits(0)
    world.wait_for(lambda: os.path.exists('/tmp/told'), 'app was told to stop')
    wreck.kill_worker(w)
    w.wait_state('david/db', 'listening')
    server.ask('/home/david/db.sock')
    w.wait_state('david/db', 'running')
    world.write('/tmp/go', '')
    w.wait_state('david/db', 'stopped')
    w.wait_state('david/app', 'stopped')
