"""A run's main figures as a picture, drawn by gnuplot: a bar each, on logarithmic scales, ours in another colour."""
import subprocess

import machine
import report

PANELS = ('pss', 'start', 'respawn', 'crowd', 'one', 'every')
TITLES = {'pss': 'memory, MB', 'start': 'start of all, ms', 'respawn': 'kill -9 to successor, ms', 'crowd': 'all killed, all back, ms',
          'one': 'status of one, ms', 'every': 'status of all, ms'}
COLOURS = {'ours': 0x1f77b4, 'floor': 0xd8d8d8, 'floor-users': 0xd8d8d8, 'floor-helper': 0xd8d8d8}
TERMINALS = {'svg': "svg size 960,620 font 'sans-serif,12' background 'white'", 'png': "pngcairo size 960,620 font 'sans,10'"}


def _panel(run, sessions, key):
    """The commands of one panel: managers from the best at the top to the worst."""
    column = next(each for each in report.COLUMNS if each[0] == key)
    bars = [(value, name) for name, session in sessions.items() if (value := report.number(session, column))]
    if not bars:
        return ''
    bars.sort(reverse=True)
    rows = '\n'.join(f'{value:.6g} "{report.shown(value)}" {COLOURS.get(name, 0x9a9a9a)}' for value, name in bars)
    ticks = ', '.join(f'"{run["titles"][name].split(":")[0]}" {i}' for i, (_, name) in enumerate(bars))
    least = min(value for value, _ in bars) / 3
    return f"""$data << END
{rows}
END
set title "{TITLES[key]}"
set ytics ({ticks}) scale 0
set xrange [{least:.3g}:{bars[0][0] * 20:.6g}]
set yrange [-0.6:{len(bars) - 0.4}]
plot $data using ($1):($0):({least:.3g}):1:($0-0.36):($0+0.36):3 with boxxyerror linecolor rgb variable, \\
     $data using 1:0:2 with labels left offset 0.5,0 font ",10"
"""


def script(run, terminal, path):
    size = str(run['n']) if str(run['n']) in run['sizes'] else list(run['sizes'])[-1]
    panels = ''.join(_panel(run, run['sizes'][size], key) for key in PANELS)
    return f"""set terminal {terminal}
set output "{path}"
set style fill solid noborder
set logscale x
set format x ""
set tics nomirror
unset key
unset xtics
set border 0
set multiplot layout 2,3 margins 0.15,0.98,0.03,0.88 spacing 0.15,0.1 title "{int(size):,} daemons, logarithmic scales; shorter is better"
{panels}
unset multiplot
"""


def draw(run, name):
    """Writes NAME.svg and NAME.png."""
    if not run['sizes']:
        return
    machine.install(['gnuplot-nox'])
    for ending, terminal in TERMINALS.items():
        subprocess.run(['gnuplot'], input=script(run, terminal, f'{name}.{ending}'), text=True, check=True)
