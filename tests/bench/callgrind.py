"""Reads what callgrind wrote: instructions of each function of one program itself, and system calls. What libraries do is not counted:
which of libc's string functions run depends on the processor."""
import re

_POSITION = re.compile(r'(c?(?:ob|fl|fi|fe|fn))=(?:\((\d+)\))? ?(.*)')
ELSEWHERE = re.compile(r'(^|[ (<*&:])(dm::town|dm::worker::BareWorker|doctest|_DOCTEST|measured|DOCTEST)')
# The first is no system call outside of valgrind; the others come with each round, of which a slow machine has more.
UNCOUNTED = re.compile(r'clock_gettime|epoll_wait|epoll_pwait|ioctl')


def bare(name):
    """A function's name without its parameters: short enough for a table, and the same on each compiler."""
    name, depth, out = re.sub(r' \[clone [^]]*\]|\'\d+$', '', name), 0, ''
    for char in name.replace('(anonymous namespace)', 'anon').replace('[abi:cxx11]', ''):
        depth += (char in '<(') - (char in '>)')
        if depth == 0 and char not in '>)':
            out += char
    return out.removesuffix(' const').split(' ')[-1]


def read(path):
    """({(object, function): (instructions, system calls)}, events); the costs of each function itself, not of what it calls."""
    costs, names, now, events, inclusive = {}, {}, {}, [], False
    with open(path) as lines:
        for line in lines:
            line = line.rstrip('\n')
            if line.startswith('events:'):
                events = line.split()[1:]
                continue
            match = _POSITION.match(line)
            if match:
                kind, number, name = match.groups()
                table = names.setdefault(kind.lstrip('c')[:2] if kind.endswith(('ob', 'fn')) else 'file', {})
                if number:
                    name = table[number] = name or table[number]
                now[kind] = name
                continue
            if line.startswith('calls='):
                inclusive = True
            elif line[:1] in '0123456789+-*' and events:
                fields = line.split()[1:]
                if not inclusive and fields:
                    key = now.get('ob', '?'), now['fn']
                    had = costs.setdefault(key, [0] * len(events))
                    for i, field in enumerate(fields):
                        had[i] += int(field)
                inclusive = False
    return costs, events


def own(path, program):
    """{function: instructions} of that program, without the test's own parts; and {name: how many} of all system calls meanwhile."""
    costs, events = read(path)
    at, functions, calls = events.index('sysCount'), {}, {}
    for (thing, function), cost in costs.items():
        if cost[at] and not UNCOUNTED.match(function):
            name = function.split('@')[0]
            calls[name] = calls.get(name, 0) + cost[at]
        if thing.endswith('/' + program) and not ELSEWHERE.search(function):
            functions[bare(function)] = functions.get(bare(function), 0) + cost[0]
    return functions, calls
