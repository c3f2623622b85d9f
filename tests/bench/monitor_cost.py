"""A fixed script of the monitor under callgrind, with a real kernel, worker, helpers and daemons below it: starts, restarts, crashes and
a stop. What is counted is what it does for them, not its rounds, of which there are as many as the machine is slow."""
import glob
import json
import os
import re
import subprocess
import sys

import callgrind
import sanitized
import world

NAME = '20 started, 5 restarted, 5 crashed, all stopped'
DAEMONS, SOME = 20, 5
# Done in each round or each tenth of a second, whatever there is to do.
ROUNDS = re.compile(r'check(_|$)|monitor::run$|pause_before|now_ms|over$|reap|read_signals|free_stages|monitor::flush$|first_dirty')
UNDER = """#!/bin/sh
LD_PRELOAD=/srv/shim.so exec valgrind --tool=callgrind --collect-systime=yes --callgrind-out-file=/tmp/callgrind.%p {manager} "$@"
"""
with open(os.path.join(os.path.dirname(os.path.abspath(world.__file__)), 'valgrind_shim.c'), 'rb') as shim:
    SHIM = shim.read()


def _play(w):
    for number in range(DAEMONS):
        w.conf('david', f'd{number:02}', f'dir=/\nstart=sleep 10{number:02}\n')
    w.start('[runs_as]\ndavid\n[limits]\n*: starts=1000\n')
    for number in range(DAEMONS):
        w.up(f'david/d{number:02}')
    for number in range(SOME):
        w.dmctl('david', 'restart', f'd{number:02}').exits(0)
    for number in range(SOME, 2 * SOME):
        w.dmctl('david', 'kill', 'KILL', f'd{number:02}').exits(0)
    for number in range(SOME, 2 * SOME):
        world.wait_for(lambda: w.rows()[f'david/d{number:02}'].respawns == 1, 'it has come back')
    manager = w.manager.pid
    assert w.stop(deadline=120) == 0, w.log()
    return manager


def inside():
    try:
        w = world.enter()
    except world.CannotMakeWorld as why:
        print(world.NO_WORLD.format(why=why), file=sys.stderr)
        return 1
    w.reset()
    w.folder('/srv', 'root')
    subprocess.run(['gcc', '-O1', '-shared', '-fPIC', '-o', '/srv/shim.so', '-x', 'c', '-'], input=SHIM, check=True)
    w.cage = sanitized.Cage(world.RUN_DIR + '/empty', world.HELPERS)  # valgrind looks at what it is to execute, also from the worker's root
    w.cage.furnish(forget=True)
    program = os.path.basename(world.MANAGER)
    world.MANAGER = w.script('/srv/manager', UNDER.format(manager=world.MANAGER))
    manager = _play(w)
    reports = glob.glob(f'/tmp/callgrind.{manager}*')
    assert reports, 'callgrind wrote nothing'
    functions, calls = callgrind.own(reports[0], program)
    print(json.dumps([{name: count for name, count in functions.items() if not ROUNDS.search(name)}, calls]), flush=True)
    return 0
