"""The examples of daemon.conf(5): each is taken from the page as it is, and does what the page says of it."""
import os
import re
import signal
import socket
import time
import urllib.request

import fastcgi_load
import test_fastcgi
import world

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'man', 'daemon.conf.5')


def _take():
    """The examples of the page by name, and the keys that it explains."""
    with open(PAGE) as page:
        text = page.read()
    examples = {}
    for block in re.findall(r'^\.Bd -literal -offset indent\n(.*?)^\.Ed$', text, re.S | re.M):
        name = re.match(r'# ([a-z]+)\.conf\n', block)
        assert name and name[1] not in examples, f'an example begins with its name: {block}'
        examples[name[1]] = block.replace('\\e', '\\')
    return examples, set(re.findall(r'^\.It Cm (\w+) Ns =', text, re.M))


EXAMPLES, KEYS = _take()  # the world that comes has no such file
TRIED = set()


def _put(w, *names):
    for name in names:
        TRIED.add(name)
        w.conf('david', name, EXAMPLES[name])


def _file(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    folder = os.path.dirname(path)
    while folder != '/home/david':
        os.chown(folder, 1000, 1000)
        folder = os.path.dirname(folder)
    world.write(path, text, mode, 1000, 1000)


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ''


def _page(url):
    with urllib.request.urlopen(url, timeout=world.PATIENCE) as answer:
        return answer.read().decode()


def _said_on(path):
    """What a socket of a path says to whoever connects."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        return client.recv(100).decode()


def every_key(w):
    """Each key that daemon.conf(5) explains is in one of its examples, and check finds nothing wrong with any of them."""
    used = {line.split('=')[0] for text in EXAMPLES.values() for line in text.splitlines() if not line.startswith(('#', 'export'))}
    assert KEYS == used, f'only explained: {KEYS - used}; only used: {used - KEYS}'
    assert len(KEYS) > 30, KEYS
    _file('/home/david/bot/bot.env', 'TOKEN=x\n', 0o600)
    for program in ('/home/david/game/server', '/home/david/game/say', '/home/david/bot/bin/bot', '/var/www/greenfelt.net/script/greenfelt_fastcgi.pl'):
        w.script(program, '#!/bin/sh\n', 'david')
    for name in EXAMPLES:
        w.conf('david', name, EXAMPLES[name])
        for line in EXAMPLES[name].splitlines():
            if line.startswith('dir='):
                w.folder(line[4:].replace('%h', '/home/david'), 'david')
    told = w.dmctl('david', 'check').exits(0)
    assert not told.err and told.out.split() == [word for name in sorted(EXAMPLES) for word in (name + ':', 'ok')], told


def wordpress(w):
    """wordpress.conf: nginx reaches php-cgi, which runs as www-data, by a socket of david's; it is there while the daemon is killed and
    restarted, and goes when it is stopped."""
    _put(w, 'wordpress')
    _file('/home/david/wordpress/index.php', fastcgi_load.PAGE)
    os.chmod('/home/david', 0o711)
    w.start()
    w.up('david/wordpress')
    path = '/home/david/wordpress/wordpress.sock'
    server = fastcgi_load.nginx('', f'fastcgi_pass unix:{path}; fastcgi_param SCRIPT_FILENAME /home/david/wordpress/index.php;')
    try:
        world.wait_for(fastcgi_load.answers, 'the site answers')
        made = os.stat(path)
        assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (1000, 33, 0o660), made
        with fastcgi_load.Steady(lambda: _page(fastcgi_load.URL)) as load:
            load.more()
            w.dmctl('david', 'restart', 'wordpress').exits(0)
            load.more()
        assert not load.failed, load.failed
        pid = w.up('david/wordpress')
        with fastcgi_load.Steady(lambda: _page(fastcgi_load.URL)) as load:
            load.more()
            os.kill(pid, signal.SIGKILL)
            load.more()
        assert fastcgi_load.errors()[0] == 0 and len(load.failed) <= 2, load.failed  # inside of its two children, that die one by one
        assert os.stat(path).st_ino == made.st_ino
    finally:
        server.kill()
        server.wait()
    w.dmctl('david', 'stop', 'wordpress').exits(0)
    assert not os.path.exists(path) and not w.find('php-cgi')


def greenfelt(w):
    """greenfelt.conf: three instances with a socket and a log each; scale makes them six, and takes them back."""
    test_fastcgi.put_catalyst(w)
    _put(w, 'greenfelt')
    w.start()
    for number in (1, 2, 3):
        w.up(f'david/greenfelt:{number}')
    folder = '/home/david/run'
    assert sorted(os.listdir(folder)) == [f'greenfelt.{number}.sock' for number in (1, 2, 3)]
    assert os.path.exists('/home/david/.daemon-manager/logs/greenfelt:2.log'), os.listdir('/home/david/.daemon-manager/logs')
    w.dmctl('david', 'scale', 'greenfelt', '6').exits(0)
    for number in (4, 5, 6):
        w.up(f'david/greenfelt:{number}')
    w.dmctl('david', 'scale', 'greenfelt', '3').exits(0)
    world.wait_for(lambda: sorted(os.listdir(folder)) == [f'greenfelt.{number}.sock' for number in (1, 2, 3)], lambda: os.listdir(folder))
    assert not [name for name in w.rows() if name.endswith((':4', ':5', ':6'))], w.rows()


MIGRATE = "open('migrated', 'a').write('x'); import os, sys; sys.exit(os.path.exists('broken'))\n"


def shop(w):
    """shop.conf: gunicorn is running when both of its addresses answer, after its migration; it reloads with HUP, and where the
    migration fails, so does the start."""
    _put(w, 'shop')
    _file('/home/david/shop/shop.py', test_fastcgi.SHOP)
    _file('/home/david/shop/migrate.py', MIGRATE)
    w.start()
    pid = w.up('david/shop')
    for url in ('http://127.0.0.1:8000/', 'http://[::1]:8000/'):
        assert _page(url) == str(pid), url
    assert _read('/home/david/shop/migrated') == 'x'
    workers = set(w.find('gunicorn')) - {pid}
    w.dmctl('david', 'reload', 'shop').exits(0)
    world.wait_for(lambda: not workers & set(w.find('gunicorn')), 'there are new workers')
    assert _page('http://127.0.0.1:8000/') == str(pid)
    _file('/home/david/shop/broken', '')
    w.dmctl('david', 'restart', 'shop').exits(1).says('before')
    w.wait_note('david/shop', 'before')
    os.unlink('/home/david/shop/broken')
    w.dmctl('david', 'start', 'shop').exits(0)
    assert _page('http://[::1]:8000/') == str(w.up('david/shop'))


FEED = """\
import os, socket, time
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.connect(os.environ['NOTIFY_SOCKET'])
manager.send(b'READY=1\\nSTATUS=42 feeds read\\nMAINPID=1')
assert os.environ['WATCHDOG_USEC'] == '3000000'
while not os.path.exists('mute'):
    manager.send(b'WATCHDOG=1')
    time.sleep(1)
os.unlink('mute')
time.sleep(1000)
"""


def feed(w):
    """feed.conf: what it says of itself is in status, and it is restarted when it falls silent, but not before; MAINPID is refused."""
    _put(w, 'feed')
    _file('/home/david/feed/feed.py', FEED)
    w.start()
    pid = w.up('david/feed')
    w.wait_note('42 feeds read')
    time.sleep(4)  # longer than its watchdog waits
    assert w.row('david/feed').pid == pid
    w.wait_log('MAINPID')
    _file('/home/david/feed/mute', '')
    world.wait_for(lambda: not w.alive(pid), 'it is killed')
    world.wait_for(lambda: w.row('david/feed').pid not in (0, pid), 'it is back')
    w.up('david/feed')
    assert w.row('david/feed').respawns == 1


WIKI = """\
import select, socket
listener = socket.socket(fileno=0)
while select.select([listener], [], [], 0.5)[0]:
    client = listener.accept()[0]
    client.recv(4096)
    client.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nwiki\\n')
    client.close()
"""


def wiki(w):
    """wiki.conf: it listens without a process until the first connection starts it, and does so again when it has ended."""
    _put(w, 'wiki')
    _file('/home/david/wiki/wiki.py', WIKI)
    w.start()
    for _ in range(3):
        w.wait_note('david/wiki', 'listening')
        assert not w.find('wiki.py')
        assert _page('http://127.0.0.1:8080/') == 'wiki\n'
    w.dmctl('david', 'stop', 'wiki').exits(0)
    with socket.socket() as client:
        assert client.connect_ex(('127.0.0.1', 8080)) != 0


BOARD = """\
import os, socket, time
assert os.environ['LISTEN_FDS'] == '1' and os.environ['LISTEN_PID'] == str(os.getpid())
listener = socket.socket(fileno=3)
while not os.path.exists('go'):
    time.sleep(0.01)
os.write(4, b'\\n')
while True:
    client = listener.accept()[0]
    client.sendall(b'board\\n')
    client.close()
"""


def board(w):
    """board.conf: it is starting until it writes a newline to descriptor 4, its socket is descriptor 3, and everybody may connect."""
    _put(w, 'board')
    _file('/home/david/board/board.py', BOARD)
    os.chmod('/home/david', 0o711)
    w.start()
    world.wait_for(lambda: w.find('board.py'), 'it has been executed')
    w.wait_state('david/board', 'starting')
    _file('/home/david/board/go', '')
    w.up('david/board')
    path = '/home/david/board/board.sock'
    assert os.stat(path).st_mode & 0o777 == 0o666
    assert _said_on(path) == 'board\n'
    w.run('eve', '/usr/bin/python3', '-c', f'import socket; s = socket.socket(socket.AF_UNIX); s.connect("{path}")').exits(0)


SERVER = "#!/bin/sh\ntrap 'exit 0' INT\ntrap '' TERM\nwhile :; do sleep 0.05; done\n"
SAY = '#!/bin/sh\necho "$1 $MAINPID" >>said.txt\n'


def _put_game():
    _file('/home/david/game/server', SERVER, 0o755)
    _file('/home/david/game/say', SAY, 0o755)


def game(w):
    """game.conf: stop= saves and ends it, reload= tells it, both with MAINPID; after_exit= writes how it ended, before the next run."""
    _put(w, 'game')
    _put_game()
    w.start()
    pid = w.up('david/game')
    said, ends = '/home/david/game/said.txt', '/home/david/game/ends.txt'
    w.dmctl('david', 'reload', 'game').exits(0)
    world.wait_for(lambda: _read(said) == f'settings {pid}\n', lambda: _read(said))
    assert os.stat(said).st_mode & 0o777 == 0o640
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: _read(ends) == 'killed KILL\n', lambda: _read(ends))
    world.wait_for(lambda: w.row('david/game').pid not in (0, pid), 'it is back')
    pid = w.up('david/game')
    w.dmctl('david', 'stop', 'game').exits(0)
    assert _read(said).splitlines()[-1] == f'save {pid}' and _read(ends) == 'killed KILL\nexited 0\n'


def app(w):
    """app.conf: what it requires is started before it, and stopped only with it or after it was asked for; cache.conf is running when
    it answers; deluge.conf runs."""
    _put(w, 'app', 'cache', 'deluge', 'game')
    _put_game()
    w.start()
    for name in ('app', 'cache', 'game', 'deluge'):
        w.up('david/' + name)
    w.dmctl('david', 'stop', 'cache').exits(1).says('app')
    assert w.row('david/app').state == w.row('david/cache').state == 'running'
    w.dmctl('david', 'stop', 'cache', '--with-dependants').exits(0)
    assert w.row('david/app').state == w.row('david/cache').state == 'stopped' and w.row('david/game').state == 'running'
    w.dmctl('david', 'stop', 'game').exits(0)
    w.dmctl('david', 'start', 'app').exits(0)
    for name in ('app', 'cache', 'game'):
        assert w.row('david/' + name).state == 'running', name
    with socket.create_connection(('127.0.0.1', 7000), 5) as client:
        client.sendall(b'PING\r\n')
        assert client.recv(100) == b'+PONG\r\n'


def bot(w):
    """bot.conf: its program is in its own directory, its token from its own file; it has had enough with 75, comes back after other
    ends, and is given up after three."""
    _put(w, 'bot')
    _file('/home/david/bot/bot.env', 'TOKEN=secret\n', 0o600)
    _file('/home/david/bot/bin/bot', '#!/bin/sh\necho "$TOKEN $*" >>said\n[ -e broken ] && exit 1\nexit 75\n', 0o755)
    w.start()
    w.wait_state('david/bot', 'done')
    assert _read('/home/david/bot/said') == 'secret --owner david\n'
    _file('/home/david/bot/broken', '')
    w.dmctl('david', 'start', 'bot')
    w.wait_state('david/bot', 'failed')
    assert len(_read('/home/david/bot/said').splitlines()) >= 3


def backup(w):
    """backup.conf: a command that is not started by itself, runs once and is done."""
    _put(w, 'backup')
    _file('/home/david/wordpress/index.php', 'x')
    w.start()
    assert w.wait_state('david/backup', 'stopped') and not os.path.exists('/home/david/backup.tar.gz')
    w.dmctl('david', 'start', 'backup')
    w.wait_state('david/backup', 'done')
    assert 'wordpress/index.php' in w.run('david', 'tar', '-tzf', '/home/david/backup.tar.gz').exits(0).out


def all_of_them(w):
    """No example of daemon.conf(5) is without a test."""
    assert TRIED == set(EXAMPLES), f'not tried: {set(EXAMPLES) - TRIED}'
