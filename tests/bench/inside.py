"""The world's side of a run: makes the world, takes the order, measures one thing in it and prints what it found as JSON."""
import json
import sys

import attack
import loggers
import ours
import peers
import session
import world


def _join(group):
    """The memory cgroup that outside.py made for this world."""
    if group:
        with open(group + '/cgroup.procs', 'w') as procs:
            procs.write('0')


def main(order):
    # (enter() needs to know all users.)
    ours.add_users(order['paths'].get('users') or ours.users_for(order['count']))
    try:
        here = world.enter()
    except world.CannotMakeWorld as why:
        print(world.NO_WORLD.format(why=why), file=sys.stderr)
        return 1
    _join(order['group'])
    here.reset()
    if order['what'] == 'attack':
        found = attack.run(here, order)
    elif order['what'] == 'loggers':
        found = loggers.run(here, order)
    else:
        found = session.Session(peers.BY_NAME[order['what']](order['count'], order['paths']), order, here).run()
    print(json.dumps(found), flush=True)
    return 0
