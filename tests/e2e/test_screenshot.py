"""contrib/screenshot: the pictures of the README are made of what a terminal shows."""
import os
import subprocess
import xml.dom.minidom

import tmux

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../contrib/screenshot')


def screenshot(w):
    """A captured screen becomes an SVG that is well-formed, has each word at its column and in its colour, and nothing of the rest."""
    w.conf('david', 'web', 'dir=/\noutput=discard\nstart=sleep 7001\n')
    w.start()
    w.up('david/web')
    with tmux.Tmux(w, 'david', 80, 24) as screen:
        screen.command('dmctl top --interval=0.2').wait('david/web', 'q quit')
        drawn = subprocess.run([SCRIPT, '90'], input=screen.coloured(), capture_output=True, text=True, check=True).stdout
        screen.type('q').wait('ready$')
    picture = xml.dom.minidom.parseString(drawn)
    texts = {node.firstChild.data.strip(): node for node in picture.getElementsByTagName('text')}
    assert any(text.startswith('dmctl top: 1 of 1 run') for text in texts), list(texts)
    assert picture.documentElement.getAttribute('width') == '780' and '\x1b' not in drawn, drawn[:200]
    odd = 'a\x1b[31m<b>\x1b[0m&c \x1b[1;32m\u6708\x1b[39;22md\n\n\n'
    drawn = subprocess.run([SCRIPT, '1'], input=odd, capture_output=True, text=True, check=True).stdout
    nodes = xml.dom.minidom.parseString(drawn).getElementsByTagName('text')
    assert [(node.firstChild.data, node.getAttribute('x')) for node in nodes] == [('a', '12.0'), ('<b>', '20.4'), ('&c ', '45.6'), ('\u6708', '70.8'), ('d', '87.6')], drawn
    assert nodes[1].getAttribute('fill') == '#e06c75' and nodes[3].getAttribute('font-weight') == 'bold', drawn
    for name in ('status', 'top'):
        xml.dom.minidom.parse(os.path.join(os.path.dirname(SCRIPT), f'{name}.svg'))
