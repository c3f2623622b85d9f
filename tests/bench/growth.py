"""How figures grow with the number of daemons: the exponent of the best fit of N ** exponent, 1 being linear."""
import math

GROWING = ('pss', 'kernel', 'machine', 'start', 'respawn', 'crowd', 'one', 'every', 'restart')


def exponent(points):
    """Least squares of log y over log x; None without two points above zero."""
    usable = [(math.log(x), math.log(y)) for x, y in points if x > 1 and y and y > 0]
    if len(usable) < 2:
        return None
    mean_x, mean_y = (sum(axis) / len(usable) for axis in zip(*usable))
    across = sum((x - mean_x) ** 2 for x, _ in usable)
    return sum((x - mean_x) * (y - mean_y) for x, y in usable) / across if across else None


def exponents(run):
    """name: {column: exponent}, over all sizes but 1."""
    import report  # which shows what this finds
    found = {}
    for name in run['titles']:
        for column in report.COLUMNS:
            if column[0] in GROWING:
                points = [(int(size), report.number(sessions[name], column)) for size, sessions in run['sizes'].items() if name in sessions]
                value = exponent(points)
                if value is not None:
                    found.setdefault(name, {})[column[0]] = value
    return found


def lines(run):
    found = exponents(run)
    if not found:
        return []
    import report
    heads = [(column[0], column[1]) for column in report.COLUMNS if column[0] in GROWING]
    sizes = ', '.join(f'{int(size):,}' for size in run['sizes'] if int(size) > 1)
    out = [f'growth: the exponent over N = {sizes} (ours: a user for every ten daemons)', f'{"":30}' + ''.join(f'{head:>16}' for _, head in heads)]
    for name, values in found.items():
        out.append(f'{run["titles"][name]:30}' + ''.join(f'{values[key]:>16.2f}' if key in values else f'{chr(8212):>16}' for key, _ in heads))
    return out
