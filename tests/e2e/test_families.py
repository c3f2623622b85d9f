"""Confs with instances=: a daemon for each number, dmctl scale, restarts one by one; over the death of worker and monitor."""
import os
import signal

import world

# Says what it is and that it starts, is ready when told, and says that it stops.
MEMBER = '''#!/bin/sh
trap 'echo "stop $1" >> /tmp/events; exit 0' TERM
echo "start $1" >> /tmp/events
echo "this is $1"
while [ -e /tmp/slow.$1 ]; do sleep 0.02; done
echo >&3
while :; do sleep 0.02; done
'''
READY = 'ready=fd:3\noutput=log\n'


def _conf(w, instances, lines='', name='web'):
    w.script('/srv/member', MEMBER)
    w.conf('david', name, f'dir=/\nstart=/srv/member {name}%i\ninstances={instances}\n{READY}{lines}')


def _events():
    if not os.path.exists('/tmp/events'):
        return []
    with open('/tmp/events') as events:
        return events.read().splitlines()


def _ids(w, name='web'):
    return [name for name in w.dmctl('david', 'list', name).exits(0).out.split()]


def _up(w, *numbers):
    return {number: w.up(f'david/web:{number}') for number in numbers}


def each_has_its_number(w):
    """A conf with instances=3 is three daemons with ids of their own; %i is the number of each, and so is the name of its log."""
    _conf(w, 3)
    w.start()
    pids = _up(w, 1, 2, 3)
    assert len(set(pids.values())) == 3
    assert _ids(w) == ['david/web:1', 'david/web:2', 'david/web:3']
    for number, pid in pids.items():
        assert w.command_of(pid)[-1] == f'web{number}', w.command_of(pid)
        log = f'/home/david/.daemon-manager/logs/web:{number}.log'
        world.wait_for(lambda: os.path.exists(log) and f'this is web{number}' in open(log).read(), f'{log} is written')
        w.dmctl('david', 'log', f'web:{number}').exits(0).says(f'this is web{number}')
    assert not os.path.exists('/home/david/.daemon-manager/logs/web.log')


def one_or_all(w):
    """Each verb takes one of a family or all of it."""
    _conf(w, 3)
    w.start()
    pids = _up(w, 1, 2, 3)
    w.dmctl('david', 'stop', 'web:2').exits(0)
    assert w.row('david/web:2').state == 'stopped'
    w.dmctl('david', 'pid', 'david/web:3').exits(0).says(str(pids[3]))
    w.dmctl('david', 'restart', 'web:3').exits(0)
    assert w.up('david/web:1') == pids[1] and w.up('david/web:3') != pids[3]
    w.dmctl('david', 'stop', 'web').exits(0)
    assert {row.state for row in w.rows().values()} == {'stopped'}
    w.dmctl('david', 'start', 'david/web').exits(0)
    _up(w, 1, 2, 3)
    w.dmctl('david', 'stop', 'web:4').exits(5).says('there are david/web:1 to david/web:3')
    assert 'did you mean' not in w.dmctl('david', 'stop', 'web:9').exits(5).text


def scale_up_and_down(w):
    """scale makes more and fewer and waits for it, within the owner's limit, until the conf's instances= changes."""
    _conf(w, 2)
    w.start('[runs_as]\ndavid\n[limits]\ndavid: daemons=4\n')
    pids = _up(w, 1, 2)
    w.dmctl('david', 'scale', 'web', '4').exits(0).says('david/web:3', 'david/web:4')
    _up(w, 3, 4)
    w.dmctl('david', 'scale', 'web', '5').exits(1).says('at most 4 daemons')
    w.dmctl('david', 'stop', 'web:4').exits(0)
    answer = w.dmctl('david', 'scale', 'web', '3').exits(0).says('david/web:4: was stopped, and is there no more')
    assert 'already' not in answer.text, answer
    w.dmctl('david', 'web', 'scale', '1').exits(0)
    assert _ids(w) == ['david/web:1'] and w.up('david/web:1') == pids[1]
    assert len(w.find('/srv/member')) == 1
    for arguments in (('scale', 'web'), ('scale', 'web', '0'), ('scale', 'web', '101'), ('scale', '3'), ('scale', 'web:1', '3')):
        w.dmctl('david', *arguments).exits(2)
    w.rescan('david')
    assert _ids(w) == ['david/web:1']
    _conf(w, 3)
    w.rescan('david')
    _up(w, 1, 2, 3)


def outlives_the_manager(w):
    """The size that scale gave, and the daemons, outlive kill -9 of the worker and of the manager, and an upgrade."""
    _conf(w, 2)
    w.start()
    _up(w, 1, 2)
    w.dmctl('david', 'scale', 'web', '3').exits(0)
    pids = _up(w, 1, 2, 3)
    worker = w.worker()
    os.kill(worker, signal.SIGKILL)
    world.wait_for(lambda: w.worker() not in (None, worker), 'there is a new worker')
    world.wait_for(lambda: w.dmctl('david', 'list', 'web').code == 0, 'it serves')
    assert _up(w, 1, 2, 3) == pids
    w.stop(signal.SIGKILL)
    w.start()
    assert _up(w, 1, 2, 3) == pids
    w.dmctl('david', 'log', 'web:3').exits(0).says('this is web3')
    w.run('root', world.MANAGER, '--upgrade', timeout=world.PATIENCE).exits(0)
    assert _up(w, 1, 2, 3) == pids
    w.dmctl('david', 'scale', 'web', '1').exits(0)
    w.stop(signal.SIGKILL)
    w.start()
    assert _up(w, 1) == {1: pids[1]} and _ids(w) == ['david/web:1']


def rolls(w):
    """A restart of a family is one by one: at no moment does more than one of it not run, and the next stops only when the last is ready."""
    _conf(w, 4)
    w.start()
    before = _up(w, 1, 2, 3, 4)
    world.wait_for(lambda: len(_events()) == 4, 'all have said that they start')
    world.write('/tmp/slow.web2', '')
    rolling = w.background('david', world.DMCTL, 'restart', 'web')
    world.wait_for(lambda: _events()[-1] == 'start web2', lambda: f'the second starts: {_events()}')
    w.wait_state('david/web:2', 'starting')
    w.rescan('david')  # two turns of the worker, in which nothing else must happen
    assert _events()[4:] == ['stop web1', 'start web1', 'stop web2', 'start web2'], _events()
    os.unlink('/tmp/slow.web2')
    said, _ = rolling.communicate(timeout=world.PATIENCE)
    assert rolling.returncode == 0, said
    assert all(f'david/web:{number}: running' in said for number in (1, 2, 3, 4)), said
    down = set()
    for event in _events()[4:]:
        what, who = event.split()
        down.add(who) if what == 'stop' else down.discard(who)
        assert len(down) <= 1, _events()
    after = _up(w, 1, 2, 3, 4)
    assert all(after[number] != before[number] for number in before)


def roll_ends_at_a_failure(w):
    """A restart one by one ends at the first that fails, names it, and leaves the others as they were."""
    _conf(w, 3)
    w.start()
    before = _up(w, 1, 2, 3)
    w.script('/srv/member', MEMBER.replace('echo >&3', 'case $1 in web2) exit 3;; esac; echo >&3'))
    answer = w.dmctl('david', 'restart', 'web').exits(1).says('david/web:2', 'exit code 3', 'web:3 stay as they were')
    assert 'david/web:1: running' in answer.out, repr(answer)
    assert w.up('david/web:3') == before[3] and w.up('david/web:1') != before[1]


def roll_outlives_its_client(w):
    """A restart one by one goes on when dmctl is killed; one that the worker's death ends leaves the others running."""
    _conf(w, 3)
    w.start()
    before = _up(w, 1, 2, 3)
    world.write('/tmp/slow.web1', '')
    rolling = w.background('david', world.DMCTL, 'restart', 'web')
    w.wait_state('david/web:1', 'starting')
    rolling.kill()
    rolling.wait()
    os.unlink('/tmp/slow.web1')
    world.wait_for(lambda: w.row('david/web:3').pid not in (0, before[3]) and w.row('david/web:3').state == 'running', 'the last is new')
    now = _up(w, 1, 2, 3)
    world.write('/tmp/slow.web1', '')
    rolling = w.background('david', world.DMCTL, 'restart', 'web')
    w.wait_state('david/web:1', 'starting')
    os.kill(w.worker(), signal.SIGKILL)
    rolling.wait(30)
    os.unlink('/tmp/slow.web1')
    world.wait_for(lambda: w.dmctl('david', 'list').code == 0, 'a new worker serves')
    after = _up(w, 1, 2, 3)
    assert after[2] == now[2] and after[3] == now[3] and after[1] != now[1]


def roll_cut_short(w):
    """Who restarts a family over the death of the worker is told which of it had their answer by then, and which had none."""
    _conf(w, 3)
    w.start()
    _up(w, 1, 2, 3)
    world.write('/tmp/slow.web2', '')
    rolling = w.background('david', world.DMCTL, 'restart', 'web')
    w.wait_state('david/web:2', 'starting')
    os.kill(w.worker(), signal.SIGKILL)
    said, _ = rolling.communicate(timeout=world.PATIENCE)
    assert rolling.returncode == 1 and 'david/web:1: running' in said, said
    assert 'the manager went away in the middle of its answer; without one are: david/web:2, david/web:3; with one: david/web:1;' in said, said
    assert 'dmctl status shows how they are' in said, said
    os.unlink('/tmp/slow.web2')


def sockets_of_each(w):
    """Each of a family has a listening socket of its own, which goes with it."""
    w.script('/srv/server', '#!/usr/bin/python3\nimport os, socket\ns = socket.socket(fileno=0)\nwhile True:\n    c, _ = s.accept()\n'
                            '    c.sendall(os.environ["NUMBER"].encode())\n    c.close()\n')
    w.folder('/home/david/run', 'david')
    w.conf('david', 'web', 'dir=/\nstart=/srv/server\ninstances=2\nlisten=%h/run/web.%i.sock\nexport NUMBER=%i\n')
    w.start()
    _up(w, 1, 2)
    ask = 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9).decode())'
    for number in (1, 2):
        assert w.run('david', 'python3', '-c', ask, f'/home/david/run/web.{number}.sock').out == f'{number}\n'
    w.dmctl('david', 'scale', 'web', '3').exits(0)
    assert w.run('david', 'python3', '-c', ask, '/home/david/run/web.3.sock').out == '3\n'
    w.dmctl('david', 'scale', 'web', '1').exits(0)
    assert os.listdir('/home/david/run') == ['web.1.sock']


def one_socket_for_all_is_refused(w):
    """With instances= each listen= line needs %i: one without is refused with its line, and nothing of it starts."""
    w.conf('david', 'bad', 'dir=/\nstart=sleep 1001\ninstances=2\nlisten=%h/web.sock\n')
    w.refuses('bad.conf:4:')
