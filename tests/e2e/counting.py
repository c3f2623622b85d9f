"""Daemons that print numbered lines, and what must stand in their logs afterwards: each line once, in its order."""
import os
import re

import world

ENOUGH = '/tmp/enough'  # a file that ends the counting
# Numbered lines, many to a rotation, until there is /tmp/enough.
PROGRAM = f'''#!/usr/bin/python3
import os, time
number = 0
while not os.path.exists('{ENOUGH}'):
    for number in range(number + 1, number + 51):
        os.write(1, b'line %d.\\n' % number)
    time.sleep(0.001)
os.write(1, b'the last was %d\\n' % number)
time.sleep(1001)
'''


def start(w, more='output=log\n'):
    """david/web counts; `more` stands in its conf. Returns its pid."""
    w.script('/srv/count', PROGRAM)
    w.conf('david', 'web', f'dir=/\nstart=exec /srv/count\n{more}')
    w.start()
    return w.up('david/web')


def numbers(text):
    return [int(number) for number in re.findall(r'line (\d+)\.$', text, re.M)]


def in_order(found):
    """They are 1, 2, 3 …; returns how many."""
    wrong = [pair for pair in zip(found, range(1, len(found) + 1)) if pair[0] != pair[1]][:3]
    assert not wrong, f'{len(found)} lines; the first that are wrong: {wrong}'
    return len(found)


def end(read):
    """Has it end, and waits until read() has the last line; all are there, once, in their order. Returns how many."""
    world.write(ENOUGH, '')
    world.wait_for(lambda: 'the last was' in read(), lambda: f'the last line: {read()[-300:]}')
    text = read()
    last = int(re.search(r'the last was (\d+)', text).group(1))
    count = in_order(numbers(text))
    assert count == last, f'{count} of {last} lines'
    return count


def go_on():
    os.unlink(ENOUGH)
