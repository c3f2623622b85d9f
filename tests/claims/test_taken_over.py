"""A worker that was taken over sends what it must not: the monitor ends it, and nobody else notices."""
import os

from hostile import each, scene

KINDS = {'Ready': 0, 'Scan': 1, 'Listen': 2, 'Slot': 3, 'Free': 4, 'Remember': 5, 'Start': 6, 'Signal': 7, 'Done': 8,
         'Bind': 9, 'Unbind': 10, 'Command': 11, 'Lend': 12, 'Record': 13}
LENGTH, TIME, HANDLE = 'of the wrong length', 'a message out of its time', 'a handle that was not issued'
LONG, ATTACHED = 'a message too long', 'it sent descriptors'


def before_it_is_ready(w):
    """A worker that asks for anything before it is ready is replaced, and so is one that is ready twice. Claim: messages-in-time."""
    each(w, [(f'early {number}', TIME) for kind, number in KINDS.items() if kind != 'Ready'] + [('again', TIME)])


def kinds_that_do_not_exist(w):
    """A worker that sends a kind that does not exist is replaced. Claim: messages-exact."""
    each(w, [(f'kind {number}', 'a message of no known kind') for number in (len(KINDS), 20, 0x10000, 0x80000000, 0xffffffff)])


def wrong_lengths(w):
    """A message of any kind that is a byte too short or too long, or has nothing but a beginning, ends the worker.
    Claim: messages-exact."""
    by_one = [(f'length {number} {more}', LENGTH) for number in KINDS.values() for more in (-1, 1)]
    whole = [('bytes 0', 'was killed by signal 9'), ('bytes 1', 'without a kind'), ('bytes 3', 'without a kind'),
             ('bytes 4', LENGTH)]
    each(w, by_one + whole)


def large_messages(w):
    """A datagram above the largest message, up to 64 KiB and beyond, ends the worker, whatever kind it begins with.
    Claim: messages-exact."""
    each(w, [('bytes 513', LENGTH), ('bytes 514', LONG), ('bytes 131072', LONG)] +
         [(f'length {number} 65536', LONG) for number in KINDS.values()])


def descriptors(w):
    """A worker that attaches a descriptor to any kind of message is replaced. Claim: messages-no-descriptors."""
    each(w, [(f'attach {number} 1', ATTACHED) for number in KINDS.values()])


def descriptors_by_the_hundred(w):
    """Descriptors by the hundred, in one message and in a hundred of them, end the worker, and the monitor keeps none.
    Claim: messages-no-descriptors."""
    with scene(w) as it:
        it.fresh()
        before = len(os.listdir(f'/proc/{w.manager.pid}/fd'))
        for order in ('attach 0 250', 'attach 1 250', 'attach 6 250', 'attach 1 250 100'):
            it.order(order)
            w.wait_log(ATTACHED)
            it.unharmed()
            assert len(os.listdir(f'/proc/{w.manager.pid}/fd')) < before + 10
        it.honest_again()
        it.unharmed()


def forged_handles(w):
    """A handle that was not issued, or was given back, or names another generation, ends the worker. Claim: handles."""
    forged = []
    for kind in ('Free', 'Remember', 'Start', 'Signal', 'Bind', 'Unbind', 'Command', 'Lend', 'Record'):
        forged += [(f'field {kind}.slot {slot}', HANDLE) for slot in ('next', 16383, 16384, 0xffffffff)]
        forged += [(f'field {kind}.generation {generation}', HANDLE) for generation in (0, 2, 0xffffffff)]
        forged += [(f'stale {KINDS[kind]} never', HANDLE), (f'stale {KINDS[kind]} again', HANDLE)]
    each(w, forged)


def signals_that_do_not_exist(w):
    """Signals below 1 and above 64, scopes that do not exist, and events out of their range end the worker. Claim: messages-exact."""
    each(w, [(f'field Signal.signal {number}', 'a signal that does not exist') for number in (0, 65, -1, -15, 0x7fffffff)] +
         [(f'field Record.at {number}', 'an event out of range') for number in (20, 0xffffffff)] +
         [('field Signal.scope 3', 'a scope that does not exist'), ('field Signal.scope -1', 'a scope that does not exist')])


def users_out_of_range(w):
    """Owners and targets that are not in the policy, or may run nothing, end the worker. Claim: pairs."""
    attacks = []
    for who in ('count', '16384', '0xffffffff', '0xfffffffe', 'helpdesk', 'www-data'):
        attacks += [(f'field Scan.owner {who}', 'scan for one who may run nothing'),
                    (f'field Slot.owner {who}', 'a place for one who may run nothing')]
    for who in ('count', '16384', '0xffffffff', '0xfffffffe'):
        attacks += [(f'field Listen.owner {who}', 'an owner that is not in the policy'),
                    *((f'field {kind}.target {who}', 'a target that is not in the policy') for kind in ('Start', 'Bind', 'Command')),
                    *([(f'field Lend.reader {who}', 'a reader or an instance that does not exist')] if who != '0xfffffffe' else [])]  # root
    each(w, attacks + [('field Listen.owner www-data', 'a socket for one who is not listed')])


def pairs_that_root_does_not_allow(w):
    """A worker that starts a daemon, binds its sockets or runs its commands as somebody whom root does not allow, or has a log
    read by one, is replaced, whatever the conf says. Claim: pairs."""
    pair = 'a pair that root does not allow'
    each(w, [('field Start.target amy', pair), ('field Start.target root', pair), ('field Start.target helpdesk', pair),
             ('field Start.target www-data amy', pair), ('field Start.target david amy', pair),
             ('field Start.target root amy', pair), ('start amy 1 www-data', pair),
             *((f'field {kind}.target {who}', pair) for kind in ('Bind', 'Command') for who in ('amy', 'root', 'www-data amy')),
             *((f'field Lend.reader {who}', 'a reader whom root does not allow') for who in ('amy', 'root', 'www-data', 'helpdesk amy', 'david amy'))])


def a_policy_of_its_own(w):
    """A worker that sends a policy, as a message or as a sealed file with one, is replaced, and can change nothing in the one it
    was given: what root allowed stays. Claim: policy-root-only."""
    pair = 'a pair that root does not allow'
    each(w, [(f'policy {number}', ATTACHED) for number in KINDS.values()] + [('policy bytes', LONG), ('start amy 1 www-data', pair)])
    with scene(w) as it:
        it.order('policy write')
        it.hears('changed the policy 0')
        it.unharmed()
        it.order('start amy 1 www-data', fresh=False)  # the next worker, with that very file
        w.wait_log(pair)
        it.unharmed()


def fields_that_must_be_zero(w):
    """Reserved fields that are not zero, flags that do not exist and cookies of nothing end the worker. Claim: messages-exact."""
    zero = 'a reserved field that is not zero'
    names = ('Ready.zero', 'Scan.zero', 'Slot.zero', 'Free.zero', 'Signal.zero', 'Done.zero', 'Start.zero', 'Unbind.zero',
             'Command.zero', 'Bind.address', 'Bind.second', 'Bind.last')
    each(w, [(f'field {name} 1', zero) for name in names] +
         [('field Scan.create 2', zero), ('field Slot.cookie 0', zero), ('field Start.flags 8', 'flags that do not exist'),
          ('field Bind.flags 2', 'flags that do not exist'), ('field Bind.flags -1', 'flags that do not exist'),
          ('field Start.flags 0x80000000', 'flags that do not exist')])


def sockets_that_cannot_be(w):
    """Sockets of no number or too many, of families that do not exist, with ports that need no grant, instances and commands that do
    not exist: each ends the worker. Claim: messages-exact."""
    count, family, port = 'a number of sockets that cannot be', 'a family that does not exist', "a port that needs nobody's word"
    each(w, [(f'field Bind.count {number}', count) for number in (0, 9, 0x80000000, 0xffffffff)] +
         [(f'field Bind.socket {number}', family) for number in (0, 4, 0xffff, 0x00500000)] +
         [(f'field Bind.socket {number}', port) for number in (0x00500001, 0x04000002, 0xffff0003)] +
         [(f'field {kind}.instance {number}', 'an instance that does not exist') for kind in ('Start', 'Bind', 'Command')
          for number in (101, 0xffffffff)] +
         [(f'field Lend.instance {number}', 'a reader or an instance that does not exist') for number in (101, 0xffffffff)] +
         [(f'field Command.command {number}', 'a command that does not exist') for number in (2, 0xffffffff)])


def ports_that_root_does_not_grant(w):
    """A port below 1024 that root did not grant this very owner ends the worker that asks for it. Claim: low-ports."""
    port = 'a port that root does not grant'
    each(w, [(f'field Bind.socket {number << 16 | family}', port) for number in (1, 22, 79, 81, 443, 1023) for family in (2, 3)] +
         [(f'field Bind.socket {number << 16 | 2} {who}', port) for number in (80, 871) for who in ('amy', 'root')])


def out_of_turn(w):
    """A worker that says it has stopped everything while nobody asked, or asks for two places at once, is replaced.
    Claim: messages-in-time."""
    each(w, [(f'early {KINDS["Done"]}', TIME), ('field Done.zero 0', 'done with a shutdown that nobody asked for'),
             ('twice bob', 'a second place asked for before the first answer')])


def what_follows_a_bad_message(w):
    """What a worker has sent behind a message that ends it is not done: a KILL for every daemon. Claim: messages-exact."""
    each(w, [('after', 'a message of no known kind')])
