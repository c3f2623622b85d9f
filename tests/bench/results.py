"""A run's figures where people read them: tests/bench/RESULTS.md with its picture, and the block of figures in README.md. What people
have written about them, in REASONS.md, ends the first."""
import os
import re

import growth
import machine
import plot
import report

RESULTS, REASONS, README = machine.HERE + '/RESULTS.md', machine.HERE + '/REASONS.md', machine.TOP + '/README.md'
PICTURE = 'results'
BLOCK = re.compile(r'(<!-- figures: begin -->\n).*?(<!-- figures: end -->)', re.S)

# What README shows: column, words, unit.
SHORT = (
    ('pss', 'memory (PSS) of all the manager\'s own processes', 'MB'),
    ('start', 'from launch to the first instruction of the last daemon', 'ms'),
    ('respawn', '`kill -9` to the successor\'s first instruction', 'ms'),
    ('respawn99', 'the same, 99 of 100 are faster', 'ms'),
    ('crowd', 'all killed at once, until all are back', 'ms'),
    ('one', '`status` of one, whole command', 'ms'),
    ('every', '`status` of all', 'ms'),
    ('restart', '`restart` of one', 'ms'),
    ('wakes', 'wakeups in a minute in which nothing happens', ''),
)
FLOORS = ('floor', 'floor-users', 'floor-helper')


def _row(cells):
    return '| ' + ' | '.join(cells) + ' |\n'


def _table(run, size):
    """All managers at one size, each figure with its ratios to ours and to the floor."""
    table, notes = report.rows(run, size)
    columns = report.used(table)
    out = f'## {int(size):,} daemon{"s" if int(size) > 1 else ""}\n\n'
    out += _row(['', *(report.COLUMNS[i][1] for i in columns)]) + _row(['---'] + ['---:'] * len(columns))
    for name, title, cells in table:
        out += _row([f'**{title}**' if name == 'ours' else title] + [_cell(cells[i]) for i in columns])
    return out + '\n' + ''.join(f'[{i + 1}] {note}  \n' for i, note in enumerate(notes)) + '\n'


def _cell(cell):
    text, *ratios = cell
    ratios = ' / '.join(filter(None, map(report.ratio, ratios)))
    return f'{text}<br>{ratios}' if ratios else text


def _loggers(run):
    if 'loggers' not in run:
        return ''
    out = '## Loggers: lines of 100 bytes\n\n' + _row(['', 'MB/s', 'CPU s/GB']) + _row(['---', '---:', '---:'])
    for name, it in run['loggers']['figures'].items():
        out += _row([name, f'{it["mb_per_s"]:,.0f}', f'{it["cpu_s_per_gb"]:.2f}'] if 'mb_per_s' in it else [name, '\u2014', it['reason']])
    return out + '\n'


def _attack(run):
    found = run.get('attack', {}).get('figures')
    if not found:
        return ''
    out = "## `status` of bob while amy holds 1,000 connections, restarts in a loop and logs at full speed\n\n"
    out += _row(['', 'median ms', 'p99 ms']) + _row(['---', '---:', '---:'])
    for key, what in (('peace_us', 'in peace'), ('attack_us', 'under attack')):
        out += _row([what, f'{found[key]["median"] / 1000:.2f}', f'{found[key]["p99"] / 1000:.2f}'])
    return out + '\nNo peer has users who could attack each other.\n\n'


def _growth(run):
    found = growth.exponents(run)
    if not found:
        return ''
    heads = [column for column in report.COLUMNS if column[0] in growth.GROWING]
    sizes = ', '.join(f'{int(size):,}' for size in run['sizes'] if int(size) > 1)
    out = f'## Growth: the exponent over N = {sizes}\n\n1 is linear. Ours has a user for every ten daemons.\n\n'
    out += _row(['', *(head[1] for head in heads)]) + _row(['---'] + ['---:'] * len(heads))
    for name, values in found.items():
        out += _row([run['titles'][name], *(f'{values[head[0]]:.2f}' if head[0] in values else '\u2014' for head in heads)])
    return out + '\n'


def results_text(run):
    out = '# What was measured\n\n'
    out += f'Written by `{run["command"]}`.  \nMachine: {run["machine_words"]}; {run["machine"]["compiler"]}.\n\n'
    out += 'Below each figure stand its ratios to ours and to the floor. What each column is, `tests/bench/run --help` says.\n\n'
    out += f'![the main figures]({PICTURE}.svg)\n\n' if run['sizes'] else ''
    out += ''.join(_table(run, size) for size in run['sizes']) + _loggers(run) + _attack(run) + _growth(run)
    out += '## To judge them by\n\n' + ''.join(f'* {report.titled(run, name)}: {"; ".join(notes)}\n' for name, notes in run['notes'].items())
    return out


def _best(run, sessions, column):
    """The peer with the lowest figure."""
    found = [(value, name) for name, session in sessions.items()
             if name != 'ours' and name not in FLOORS and (value := report.number(session, column)) is not None]
    if not found:
        return '\u2014'
    value = min(found)[0]
    names = [run['titles'][name] for it, name in found if it == value]
    return f'{report.shown(value)} ({", ".join(names)})'


def readme_block(run):
    size = str(run['n'])
    sessions = run['sizes'][size]
    out = (f'{run["machine_words"].split(";")[0]}; `{run["command"]}`, {int(size):,} daemons, medians.\n'
           'Each of ours runs as a user, those of all peers as root.\n\n')
    out += _row(['', 'Daemon Manager', 'best peer', 'floor: one process of 150 lines', 'the same, by a helper']) + _row(['---'] + ['---:'] * 4)
    for key, words, unit in SHORT:
        column = next(each for each in report.COLUMNS if each[0] == key)
        values = [report.shown(report.number(sessions.get(name, {'figures': {}}), column)) for name in ('ours', 'floor', 'floor-helper')]
        out += _row([f'{words}{", " + unit if unit else ""}', values[0], _best(run, sessions, column), *values[1:]])
    return out + (f'\n![the main figures](tests/bench/{PICTURE}.svg)\n\n'
                  'All of them, with each peer: [tests/bench/RESULTS.md](tests/bench/RESULTS.md).\n')


def write(run):
    """All of it; needs gnuplot."""
    with open(REASONS) as reasons, open(RESULTS, 'w') as out:
        out.write(results_text(run) + '\n' + reasons.read())
    plot.draw(run, f'{machine.HERE}/{PICTURE}')
    if run['sizes']:
        os.unlink(f'{machine.HERE}/{PICTURE}.png')
    if str(run['n']) not in run['sizes']:
        return
    with open(README) as file:
        text = file.read()
    with open(README, 'w') as out:
        out.write(BLOCK.sub(lambda match: match.group(1) + readme_block(run) + match.group(2), text))
