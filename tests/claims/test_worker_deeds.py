"""A worker that was taken over asks for what it may: that is all it gets."""
import os
import random
import re
import time

import world
from hostile import WRITTEN, scene

SEED = int(os.environ.get('DM_SEED', random.randrange(1 << 30)))


def other_target_than_written(w):
    """dm-run does not start an entry as anybody but whom its conf names, though root allows the pair. Claim: target-as-written."""
    with scene(w) as it:
        for order in ('start david 1 www-data', 'start david 0 david'):
            it.order(order)
            it.hears('failed at stage 5')
            assert 'hostile: runs' not in w.log()
            it.unharmed()
        it.order('start david 0 www-data')  # what david wrote and root allowed, it may start
        it.hears('runs')
        it.unharmed(besides=1)
        assert len(w.find('sleep 9001')) == 2


def books_and_entries(w):
    """Entries beyond the book, and books that there never were, start nothing. Claim: only-what-is-written."""
    with scene(w) as it:
        for entry in (2, 16384, 0x7fffffff, 0xffffffff):
            it.order(f'start david {entry} david')
            it.hears('failed at stage 4')
            it.unharmed()
        it.order('old david')
        it.hears('refused 2')
        it.unharmed()


def a_book_of_another_owner(w):
    """In one owner's place nothing of another owner's book is started. Claim: only-what-is-written."""
    with scene(w) as it:
        it.order('foreign')
        it.hears('of her own runs')
        assert re.findall(r'of david\'s book refused (\d)', w.log()) == ['2', '2', '2'], w.log()
        it.unharmed(besides=1)
        assert len(w.find('sleep 9003')) == 2


def places_in_which_something_runs(w):
    """The place of a daemon that runs can neither be given back nor be started again. Claim: only-what-is-written."""
    with scene(w) as it:
        it.order('running')
        it.hears('asked of all')
        assert re.findall(r'hostile: refused (\d)', w.log()) == ['4'] * len(WRITTEN), w.log()
        it.unharmed()
        it.honest_again()
        it.unharmed()
        it.serves()


def every_signal(w):
    """Every signal to a place in which nothing runs, or runs any more, hits nobody; signal 64 hits only whose place it is.
    Claim: handles."""
    with scene(w) as it:
        it.order('signals')
        world.wait_for(lambda: w.log().count('hostile: ended by 64') == 2, w.log)
        it.unharmed()
        it.honest_again()
        it.unharmed()


def while_everything_stops(w):
    """While everything is being stopped a worker can start nothing, may not be ready again, and cannot keep the manager from its end.
    Claims: messages-in-time, worker-blocks-nobody."""
    with scene(w) as it:
        for order, said in (('stopping all', 'hostile: refused 5'), ('stopping 0', 'a message out of its time')):
            it.order(order)
            it.hears('waits')
            it.unharmed()
            assert w.stop() == 0
            assert said in w.log(), w.log()
            assert w.find('sleep 900') == []


def starts_a_second(w):
    """The monitor itself keeps an owner's starts per second: a worker cannot start more. Claim: limits-kept."""
    with scene(w) as it:
        it.order('churn amy 3')
        it.hears('started so often:')
        often = int(re.search(r'so often: (\d+)', w.log()).group(1))
        assert 1 <= often <= 3 + 1 + 4, often  # daemons + starts at once, then one a second
        it.unharmed(besides=1)


def places_without_end(w):
    """The monitor itself keeps an owner's number of daemons: a worker gets no more places. Claim: limits-kept."""
    with scene(w) as it:
        for owner, most in (('amy', 3 - 2), ('bob', 0), ('david', 100 - 2)):
            it.order(f'hoard {owner}')
            it.hears(f'places: {most}')
            it.unharmed()
        it.honest_again()
        it.unharmed()
        it.serves()


def forged_memories(w):
    """Noise that a hostile worker leaves in the memories of daemons does not harm its successor: everything is served.
    Claim: memos-are-hostile."""
    with scene(w) as it:
        for seed in (1, 2, 3):
            it.order(f'forge {seed}')
            it.hears('forged')
            it.unharmed()
            it.honest_again()
            assert not re.search(r'the worker was killed by signal (6|8|11|31)\b', w.log()), w.log()
            it.daemons = {name: w.up(name) for name in it.daemons}  # what it was told of them may have them started again
            it.unharmed()
            it.serves()


def lying_memories(w):
    """A memo with a name ../x, with NUL, of 64 bytes without NUL, of another's daemon, or with numbers out of their range, makes its
    reader neither run nor show nor write anything. Claim: memos-are-hostile."""
    with scene(w) as it:
        it.order('lie')
        it.hears('lied')
        assert 'hostile: knows the memory 1' in w.log(), w.log()
        it.unharmed()
        it.honest_again()
        assert not re.search(r'the worker was killed by signal (6|8|11|31)\b', w.log()), w.log()
        it.unharmed()
        assert set(w.rows()) == {'david/site', 'david/web', 'amy/radio', 'amy/thief'}
        assert w.rows()['amy/thief'].state == 'stopped'
        found = [os.path.join(folder, name) for folder, _, names in os.walk('/home') for name in names]
        assert sorted(name for name in found if not name.endswith(('.conf', '.sock'))) == []
        assert '\x1b' not in w.log()
        it.serves()


def forged_history(w):
    """Noise and lies in the history harm no worker that comes after: it shows what it can, and keeps what happens then. No worker can
    write to the file itself, or make it larger. Claim: history-is-hostile."""
    with scene(w) as it:
        path, whole = world.RUN_DIR + '/history', 20 * 16384 * 20
        it.order('history write 0')
        it.hears('written to the history 0')
        it.unharmed()
        for kind in ('noise', 'lies'):
            for seed in (1, 2, 3):
                it.order(f'history {kind} {seed}')
                it.hears('wrote all of the history 1')
                it.unharmed()
                it.honest_again()
                said = w.dmctl('root', 'history', 'all').exits(0).out
                assert all(character.isprintable() for character in said.replace('\n', '')), said
                assert kind != 'lies' or said.count('david/web') >= 10, said
                # An event behind what is there counts on from the last that makes sense.
                w.dmctl('david', 'kill', 'CONT', 'web').exits(0)
                assert 'sent SIGCONT by david' in w.dmctl('david', 'history', 'web').exits(0).out, w.dmctl('david', 'history', 'web')
                assert os.stat(path).st_size <= whole and os.stat(path).st_mode & 0o777 == 0o600 and os.stat(path).st_uid == 0
                assert not re.search(r'the worker was killed by signal (6|7|8|11|31)\b', w.log()), w.log()
                it.unharmed()
        it.serves()


def random_asks(w):
    """Random sequences of sound messages, and then of unsound ones, from several workers in turn, harm nobody. Claims: messages-exact,
    only-what-is-written."""
    with scene(w) as it:
        try:
            end, ran = time.monotonic() + 5, 0
            for seed in range(SEED, SEED + 1000):
                it.order(f'fuzz {seed} 200')
                w.wait_log('the worker is replaced:')
                ran += int(re.search('hostile: turns bad; of its places there ran (.*)', w.log()).group(1))
                it.unharmed(besides=100)  # the most that david may have
                if time.monotonic() > end + (0 if ran else world.PATIENCE):
                    break
            assert ran > 0
            it.honest_again()
            it.unharmed(besides=100)  # the most that david may have
        except (AssertionError, AttributeError) as why:
            raise AssertionError(f'DM_SEED={seed}: {why}') from why
