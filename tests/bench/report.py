"""A run's figures as a table of text: one row a manager, with the ratio to ours and to the floor below each figure."""
import growth

# key, heading, how to get a number out of a session's figures (None where there is none)
COLUMNS = (
    ('pss', 'PSS MB', lambda it: it['pss_kib']['all'] / 1024),
    ('kernel', 'kernel MB', lambda it: it['own_kernel_kib'] / 1024),
    ('machine', 'of machine MB', lambda it: it['own_machine_kib'] / 1024),
    ('start', 'start ms', lambda it: it['start_ms']['median']),
    ('respawn', 'respawn ms', lambda it: it['respawn_us']['median'] / 1000),
    ('respawn99', 'its p99', lambda it: it['respawn_us']['p99'] / 1000),
    ('crowd', 'all killed ms', lambda it: it['crowd_ms']['median']),
    ('one', 'status ms', lambda it: it['status_one_us']['median'] / 1000),
    ('one99', 'its p99', lambda it: it['status_one_us']['p99'] / 1000),
    ('every', 'of all ms', lambda it: it['status_all_us']['median'] / 1000),
    ('restart', 'restart ms', lambda it: it['restart_us']['median'] / 1000),
    ('born', 'to born ms', lambda it: it['restart_born_us']['median'] / 1000),
    ('wakes', 'wakeups/min', lambda it: it['idle']['wakeups'] * 60 / it['idle']['seconds']),
    ('cpu', 'CPU ms/min', lambda it: it['idle']['cpu_ms'] * 60 / it['idle']['seconds']),
)
STEP_OF = {'respawn': 'respawn', 'respawn99': 'respawn', 'crowd': 'crowd', 'one': 'status', 'one99': 'status', 'every': 'status',
           'restart': 'restart', 'born': 'restart', 'wakes': 'idle', 'cpu': 'idle'}


def number(session, column):
    try:
        return column[2](session['figures'])
    except KeyError:
        return None


def shown(value):
    if value is None:
        return '\u2014'
    if value == 0:
        return '0'
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def why_not(session, column):
    reasons = session.get('reasons', {})
    return reasons.get('all') or reasons.get(STEP_OF.get(column[0], ''))


def kernel_alone(sessions):
    """The kernel memory of children is everybody's: what is left without that of the floor's children is the manager's own."""
    floor = sessions.get('floor', {}).get('figures', {})
    for session in sessions.values():
        for key in ('kernel_kib', 'machine_kib'):
            if key in session['figures'] and key in floor:
                session['figures']['own_' + key] = session['figures'][key] - floor[key]


def rows(run, size):
    """Of one size: (title, [(text, ratio to ours, ratio to the floor)]), and footnotes."""
    sessions = run['sizes'][str(size)]
    notes, table = [], []
    for name, session in sessions.items():
        cells = []
        for column in COLUMNS:
            value = number(session, column)
            text, why = shown(value), why_not(session, column) if value is None else None
            if why:
                note = f'{run["titles"][name]}: {" ".join(why.split())}'
                if note not in notes:
                    notes.append(note)
                text += f'[{notes.index(note) + 1}]'
            base = [number(sessions.get(other, {'figures': {}}), column) for other in ('ours', 'floor')]
            cells.append((text, *(value / it if value and it and min(value, it) > 0 else None for it in base)))
        table.append((name, run['titles'][name], cells))
    return table, notes


def used(table):
    """Columns in which there is anything."""
    return [i for i in range(len(COLUMNS)) if any(cells[i][0] != '\u2014' for _, _, cells in table)]


def ratio(value):
    return '' if value is None else f'x{value:.2f}' if value < 10 else f'x{value:,.0f}'


def titled(run, name):
    return f'{run["titles"][name]} {run["versions"].get(name, "")}'.strip()


def text(run):
    lines = [f'{run["command"]}', f'{run["machine_words"]}', '']
    for size in run['sizes']:
        table, notes = rows(run, size)
        columns = used(table)
        lines.append(f'N = {int(size):,}   (below each figure: its ratio to ours / to the floor)')
        lines.append(f'{"":30}' + ''.join(f'{COLUMNS[i][1]:>16}' for i in columns))
        for _, title, cells in table:
            lines.append(f'{title:30}' + ''.join(f'{cells[i][0]:>16}' for i in columns))
            ratios = [' / '.join(filter(None, map(ratio, cells[i][1:]))) for i in columns]
            lines.append((f'{"":30}' + ''.join(f'{each:>16}' for each in ratios)).rstrip())
        lines += [f'  [{i + 1}] {note}' for i, note in enumerate(notes)] + ['']
    lines += logger_lines(run) + attack_lines(run) + growth.lines(run)
    lines += ['', *(f'{titled(run, name)}: {"; ".join(notes)}' for name, notes in run['notes'].items())]
    return '\n'.join(lines)


def logger_lines(run):
    if 'loggers' not in run:
        return []
    lines = [f'{"log of lines of 100 bytes":30}{"MB/s":>16}{"CPU s/GB":>16}{"to ours":>16}']
    own = run['loggers']['figures'].get('dm-log', {}).get('mb_per_s')
    for name, it in run['loggers']['figures'].items():
        lines.append(f'{name:30}' + (f'{it["mb_per_s"]:>16,.0f}{it["cpu_s_per_gb"]:>16.2f}{ratio(it["mb_per_s"] / own if own else None):>16}'
                                     if 'mb_per_s' in it else f'{chr(8212):>16}  {it["reason"]}'))
    return lines + ['']


def attack_lines(run):
    if not run.get('attack', {}).get('figures'):
        return []
    lines = [f'{"status of another user":30}{"median ms":>16}{"p99 ms":>16}   (no peer has users who could attack each other)']
    for key, what in (('peace_us', 'in peace'), ('attack_us', 'under attack')):
        it = run['attack']['figures'][key]
        lines.append(f'{what:30}{it["median"] / 1000:>16.2f}{it["p99"] / 1000:>16.2f}')
    return lines + ['']
