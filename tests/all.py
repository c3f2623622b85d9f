#!/usr/bin/env python3
"""all.py BUILD STAGE[,STAGE…] [PATTERN]: runs every kind of test and counts; the end-to-end tests on each stage. BUILD is the
folder of the first, and may have a folder `sanitized` with another build's. Called by tests/run, as root."""
import glob
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COUNT = re.compile(r'(\d+) passed\D+(\d+) failed\D+(\d+) skipped')


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed, self.failed, self.skipped = self.passed + passed, self.failed + failed, self.skipped + skipped

    def check(self, name, good, said):
        print(('ok   ' if good else 'FAIL ') + name)
        if not good:
            print(said)
        self.add(good, not good, 0)


def unit_tests(build, count):
    """The doctest programs of a build; each TEST_CASE counts. One that ends without its summary has failed."""
    print(f'== unit tests{", with the sanitizers" if "sanitized" in build else ""}', flush=True)
    subprocess.run(['meson', 'test', '-C', build, '--no-rebuild', '--quiet'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = os.path.join(build, 'meson-logs', 'testlog.json')
    with open(log) as lines:
        results = [json.loads(line) for line in lines]
    for result in results:
        said = result.get('stdout', '') + result.get('stderr', '')
        cases = re.search(r'test cases:(.*)', said)
        numbers = COUNT.search(cases.group(1)) if cases else None
        passed, failed, skipped = (int(number) for number in numbers.groups()) if numbers else (0, 0, 0)
        good = result['result'] == 'OK'
        if not numbers:
            passed, failed = (1, 0) if good else (0, 1)
        elif not good and failed == 0:
            failed = 1
        print(f'{"ok  " if good else "FAIL"} {result["duration"]:6.2f}s  unit {result["name"]}: {passed} of {passed + failed}')
        if not good:
            print(said)
        count.add(passed, failed, skipped)
    count.check('there are unit tests', bool(results), f'none in {log}')


def checks(build, count):
    pages = sorted(glob.glob(TOP + '/man/*.[1-8]') + glob.glob(build + '/man/*.[1-8]'))
    lint = subprocess.run(['mandoc', '-T', 'lint', *pages], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = lint.stdout + lint.stderr
    count.check(f'mandoc -T lint is quiet about {len(pages)} man pages', bool(pages) and not said, said or 'there are none')
    lines = subprocess.run([sys.executable, TOP + '/tests/lines'], capture_output=True, text=True)
    total = lines.stdout.splitlines()[-1].strip() if lines.stdout else lines.stderr
    count.check(f'the privileged part is short: {total}', lines.returncode == 0, lines.stdout)


def end_to_end(stages, pattern, results, count):
    """tests/e2e/run.py prints one line a test; its last line is the count."""
    run = subprocess.Popen([sys.executable, TOP + '/tests/e2e/run.py', stages, pattern], stdout=subprocess.PIPE, text=True,
                           env=dict(os.environ, DM_RESULTS=results))
    last = ''
    for line in run.stdout:
        if last:
            print(last, end='', flush=True)
        last = line
    run.wait()
    numbers = COUNT.fullmatch(last.strip())
    if numbers:
        count.add(*(int(number) for number in numbers.groups()))
    else:
        count.check('the end-to-end tests ran to their end', False, last)


def fuzz(build, count):
    """Replays the corpora and fuzzes each target for a few seconds."""
    run = subprocess.run([sys.executable, TOP + '/tests/fuzz/run', '--seconds', '5'], capture_output=True, text=True,
                         env=dict(os.environ, DM_FUZZ_BUILD=build + '/fuzz'))
    lines = [line for line in run.stdout.splitlines() if line.startswith(('ok ', 'FAIL '))]
    for line in lines:
        count.check('fuzzed: ' + line.split(maxsplit=1)[1], line.startswith('ok'), run.stdout)
    if not lines or (run.returncode != 0 and all(line.startswith('ok') for line in lines)):
        count.check('what reads the bytes of strangers is fuzzed', False, run.stdout + run.stderr)


def instructions(build, stage, count):
    """Fixed scripts under callgrind against tests/bench/budget; another compiler than the budget's is not judged."""
    run = subprocess.run([sys.executable, TOP + '/tests/bench/instructions', build, stage], capture_output=True, text=True)
    lines = run.stdout.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith(('ok ', 'FAIL ', 'skip '))]
    for begin, end in zip(heads, heads[1:] + [len(lines)]):
        word, what = lines[begin].split(maxsplit=1)
        if word == 'skip':
            print('skip ' + what)
            count.add(0, 0, 1)
        else:
            count.check(what, word == 'ok', '\n'.join(lines[begin + 1:end]))
    if not heads or (run.returncode != 0 and not any(lines[i].startswith('FAIL') for i in heads)):
        count.check('instructions are counted', False, run.stdout + run.stderr)


def chaos(stage, count):
    """One minute of it; tests/chaos/run alone does ten, with more daemons."""
    run = subprocess.run([sys.executable, TOP + '/tests/chaos/run', '--seconds', '60', '--daemons', '100', '--users', '20', stage],
                         capture_output=True, text=True)
    said = run.stdout.splitlines()
    count.check('everything is killed at random for a minute, and nothing is lost: ' + (said[-1] if said else 'it said nothing'),
                run.returncode == 0, run.stdout + run.stderr)
    print('\n'.join(said[1:-1]))


def main():
    build, stages, pattern = sys.argv[1], sys.argv[2], sys.argv[3]
    count = Count()
    if not pattern:
        for folder in (build, build + '/sanitized'):
            if os.path.isdir(folder):
                unit_tests(folder, count)
        print('== checks', flush=True)
        checks(build, count)
    print('== end-to-end tests', flush=True)
    results = os.path.join(build, 'results.jsonl')
    if os.path.exists(results):
        os.unlink(results)
    end_to_end(stages, pattern, results, count)
    if not pattern:
        table = subprocess.run([sys.executable, TOP + '/tests/claims/table', results], capture_output=True, text=True)
        said = (table.stdout.splitlines() or [table.stderr])[-1]
        count.check('each claim of SECURITY.md has its attacks, and they failed: ' + said, table.returncode == 0, table.stdout + table.stderr)
        print('== instructions', flush=True)
        instructions(build, stages.split(',')[0], count)
        print('== fuzzing', flush=True)
        fuzz(build, count)
        print('== chaos', flush=True)
        chaos(stages.split(',')[0], count)
    print(f'{count.passed} passed, {count.failed} failed, {count.skipped} skipped')
    return 1 if count.failed else 0


if __name__ == '__main__':
    sys.exit(main())
