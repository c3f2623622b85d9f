#!/usr/bin/env python3
"""run.py STAGE[,STAGE…] [PATTERN]: runs the end-to-end tests whose file or sentence holds PATTERN, on each STAGE, which is a
`meson install` with DESTDIR; one of a build with the sanitizers is told by itself. Each file gets a world of its own, some at a
time. As root.

A test is a function of a file test_*.py in tests/e2e or tests/claims with the world as its argument; its docstring is the
sentence that it proves. In tests/claims the sentence ends with the claims of SECURITY.md that it is for: "Claim: one, two."
A test whose subject is how long something takes is marked with @alone (alone.py), and runs when all others have ended.
DM_RESULTS=FILE: how each test ended is written there too, a line of JSON for each.
"""
import glob
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
CLAIMS = os.path.join(os.path.dirname(HERE), 'claims')
sys.path[:0] = [HERE, CLAIMS]
import world  # noqa: E402
from sanitized import is_sanitized  # noqa: E402

TEST_SECONDS = 600  # far more than any test takes, on a machine that does other things too; a hang is a failure, not the end of the run
AT_ONCE = 5  # most of their time tests wait


class Skip(Exception):
    """Raised by a test that this machine cannot run, with the reason."""


def load(path):
    name = os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tests_of(path, pattern, sanitized, alone):
    """The tests of one file, in its order, as (sentence, function). `sanitized`: those for a build with the sanitizers; `alone`:
    those that run while no other does, or else those that do not."""
    module = load(path)
    found = []
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith('_') and function.__doc__:
            if hasattr(function, 'not_sanitized' if sanitized else 'only_sanitized') or hasattr(function, 'alone') != alone:
                continue
            sentence = ' '.join(function.__doc__.split())
            if pattern in sentence or pattern in name or pattern in os.path.basename(path):
                found.append((sentence, function))
    return found


# ---- inside a world ----

def out_of_time(_signal, _frame):
    raise AssertionError(f'the test has not ended within {TEST_SECONDS} s')


def run_one(here, function):
    """The outcome of one test and what there is to say about it."""
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TEST_SECONDS)
    try:
        here.reset()
        function(here)
        found = here.cage.reports(here.log() if os.path.exists(here.log_file) else '') if here.cage else ''
        return ('failed', found) if found else ('passed', '')
    except Exception as problem:  # a test may fail in any way
        if type(problem).__name__ == 'Skip':
            return 'skipped', str(problem)
        log = here.log().splitlines()[-40:] if os.path.exists(here.log_file) else []
        return 'failed', traceback.format_exc() + '--- the end of the manager\'s log\n' + '\n'.join(log)
    finally:
        signal.alarm(0)


def inside(path, pattern, alone):
    tests = tests_of(path, pattern, is_sanitized(world.stage() + world.MANAGER), alone)
    try:
        here = world.enter()
    except world.CannotMakeWorld as why:
        print(json.dumps({'no_world': str(why)}), flush=True)
        return 1
    for sentence, function in tests:
        begin = time.monotonic()
        outcome, why = run_one(here, function)
        print(json.dumps({'sentence': sentence, 'outcome': outcome, 'why': why, 'seconds': time.monotonic() - begin}), flush=True)
    return 0


# ---- outside ----

class Run:
    def __init__(self, stages, pattern):
        self.stages = {stage: is_sanitized(stage + world.MANAGER) for stage in stages}
        self.pattern = pattern
        self.count = {'passed': 0, 'failed': 0, 'skipped': 0}
        self.failures = []
        self.waiting = []
        self.ended = False
        self.results = os.environ.get('DM_RESULTS')
        self.lock = threading.Lock()

    def note(self, name, sentence, outcome, seconds, why):
        with self.lock:
            self.count[outcome] += 1
            mark = {'passed': 'ok  ', 'failed': 'FAIL', 'skipped': 'skip'}[outcome]
            print(f'{mark} {seconds:6.2f}s  {name}: {sentence}' + (f' ({why})' if outcome == 'skipped' else ''), flush=True)
            if self.results:
                with open(self.results, 'a') as out:
                    out.write(json.dumps({'file': name.split()[-1], 'sentence': sentence, 'outcome': outcome}) + '\n')
            if outcome == 'failed':
                self.failures.append((name, sentence, why))

    def run_file(self, stage, path, alone):
        name = ('sanitized ' if self.stages[stage] else '') + os.path.basename(path)[5:-3]
        left = [sentence for sentence, _ in tests_of(path, self.pattern, self.stages[stage], alone)]
        if not left:
            return
        reader, writer = os.pipe()
        code = [None]

        def go():
            how = '--inside-alone' if alone else '--inside'
            code[0] = world.outside([sys.executable, os.path.abspath(__file__), how, path, self.pattern], stage,
                                    stdout=writer, stdin=subprocess.DEVNULL)
            os.close(writer)

        runner = threading.Thread(target=go)
        runner.start()
        why = ''
        with os.fdopen(reader) as lines:
            for line in lines:
                said = json.loads(line)
                if 'no_world' in said:
                    why = world.NO_WORLD.format(why=said['no_world'])
                    continue
                left.remove(said['sentence'])
                self.note(name, said['sentence'], said['outcome'], said['seconds'], said['why'])
        runner.join()
        for sentence in left:
            self.note(name, sentence, 'failed', 0, why or f'its world ended before it, with exit code {code[0]}')

    def work(self, alone):
        while True:
            with self.lock:
                if not self.waiting:
                    return
                stage, path = self.waiting.pop(0)
            self.run_file(stage, path, alone)

    def give_up(self, *_):
        self.ended = True
        self.waiting.clear()
        world.end_worlds()

    def all(self):
        paths = [path for folder in (HERE, CLAIMS) for path in glob.glob(folder + '/test_*.py')]
        # The longest first, so that at the end nobody waits long for another; with the sanitizers they are longer still.
        files = [(stage, path) for stage in self.stages for path in paths]
        files.sort(key=lambda it: -os.path.getsize(it[1]) * (2 if self.stages[it[0]] else 1))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.give_up)
        for alone in (False, True):
            self.waiting = [] if self.ended else list(files)
            threads = [threading.Thread(target=self.work, args=(alone,)) for _ in range(1 if alone else AT_ONCE)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for name, sentence, why in self.failures:
            print(f'\nFAILED {name}: {sentence}\n{why}')
        print('{passed} passed, {failed} failed, {skipped} skipped'.format(**self.count))
        return 1 if self.count['failed'] else 0


def main():
    if len(sys.argv) == 4 and sys.argv[1] in ('--inside', '--inside-alone'):
        return inside(sys.argv[2], sys.argv[3], sys.argv[1] == '--inside-alone')
    stages = [os.path.abspath(stage) for stage in sys.argv[1].split(',')] if len(sys.argv) > 1 else []
    if not stages or not all(os.path.isdir(stage) for stage in stages):
        print(__doc__)
        return 2
    if os.geteuid() != 0:
        print('run.py needs root: it makes namespaces and becomes the users of its world; run it with sudo')
        return 2
    return Run(stages, sys.argv[2] if len(sys.argv) > 2 else '').all()


if __name__ == '__main__':
    sys.exit(main())
