"""The worker's cage from within: what survives its filter is what SECURITY.md lists, and nothing else."""
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def _read(path):
    with open(path) as source:
        return source.read()


# Read at once: inside of the world this folder may not be there.
SOURCES = {f'{folder}/{name}': _read(f'{TOP}/src/{folder}/{name}') for folder in ('lib', 'worker')
           for name in os.listdir(f'{TOP}/src/{folder}') if name.endswith('.hh') or name == 'sandbox.cc'}
SOURCES['filter.cc'] = _read(HERE + '/filter.cc')
SECURITY = _read(TOP + '/SECURITY.md')


def _listed(row):
    """The second cell of that row of the table in SECURITY.md."""
    return re.search(rf'(?m)^\| {row} \| (.*) \|$', SECURITY).group(1)


def _documented():
    plain, quiet = _listed('allowed').split(), _listed('fail quietly').split(', ')
    by_argument = _listed('allowed with these arguments only').split('; ')
    lines = {f'allowed {name}' for name in plain} | {f'argument {what}' for what in by_argument} | {f'quiet {what}' for what in quiet}
    # And what the filter says of each number, whatever the arguments.
    lines |= {f'may allowed {name}' for name in plain} | {f'may argument {what.split()[0]}' for what in by_argument}
    return lines | {f'may quiet {what}' for what in quiet}


def _survivors(w, compiler, folder):
    """What filter.cc prints, built with that compiler and run as nobody."""
    for name, text in SOURCES.items():
        os.makedirs(os.path.dirname(f'{folder}/{name}'), exist_ok=True)
        with open(f'{folder}/{name}', 'w') as out:
            out.write(text)
    made = subprocess.run([compiler, '-std=c++20', '-O2', '-static', '-I' + folder, '-Wl,--wrap=seccomp_load', '-o', folder + '/filter',
                           folder + '/filter.cc', folder + '/worker/sandbox.cc', '-lseccomp'], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    said = w.run('nobody', folder + '/filter').exits(0).out.splitlines()
    entries = [line for line in said if line.startswith('entry ')]
    assert len(entries) == 1, said
    return set(said) - set(entries)


def built_with_gcc(w):
    """Of all system calls, each tried by a process of its own, with several arguments and by the 64-bit, x32 and 32-bit entries, those
    survive the worker's filter that SECURITY.md lists, when it is built with GCC. Claim: worker-filter."""
    survivors, documented = _survivors(w, 'g++', '/tmp/filter'), _documented()
    assert survivors == documented, f'not documented: {survivors - documented}; not so: {documented - survivors}'


def built_with_clang(w):
    """The same system calls survive the worker's filter when it is built with clang. Claim: worker-filter."""
    survivors, documented = _survivors(w, 'clang++', '/tmp/filter'), _documented()
    assert survivors == documented, f'not documented: {survivors - documented}; not so: {documented - survivors}'
