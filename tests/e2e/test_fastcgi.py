"""Servers of Debian's that get their sockets from the manager, under load while they are restarted and killed."""
import os
import signal
import socket
import urllib.request

import fastcgi_load
import world


def _needs(*paths):
    for path in paths:
        assert os.path.exists(path), f'{path} is missing; tests/run installs what it belongs to'


def php_under_load(w):
    """With listen=, no connection to php-cgi behind nginx is refused while it is restarted and killed with -9: a restart costs no
    request, and a kill those that were inside of its processes."""
    _needs('/usr/bin/php-cgi', '/usr/sbin/nginx', '/usr/bin/wrk')
    found = fastcgi_load.run(w, True, 8, 3)
    assert found['answered'] > 100, found
    assert found['refused'] == 0, found
    assert found['by_restarts'] == [0, 0], found
    assert found['worst_kill'] <= fastcgi_load.CHILDREN, found
    assert found['failed'] <= found['kills'] * fastcgi_load.CHILDREN, found
    assert found['failed'] <= found['cut'], f'each failed request is one that nginx saw cut: {found}'


def php_without(w):
    """Without listen= the same load sees connections refused: what the other test looks at can fail."""
    _needs('/usr/bin/php-cgi', '/usr/sbin/nginx', '/usr/bin/wrk')
    found = fastcgi_load.run(w, False, 6, 2)
    assert found['refused'] > 0 and found['failed'] > 0, found


SHOP = """\
import os
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d' % os.getppid()]
"""


def gunicorn(w):
    """gunicorn takes its sockets from LISTEN_FDS; over restarts and a kill -9 nobody who connects is refused, and a restart costs no
    request."""
    _needs('/usr/bin/gunicorn')
    w.folder('/home/david/shop', 'david')
    world.write('/home/david/shop/shop.py', SHOP, 0o644, 1000, 1000)
    w.conf('david', 'shop', 'dir=%h/shop\nlisten=127.0.0.1:8000\nlisten_pass=fds\nstart=exec gunicorn shop:app\nready=connect\n'
                            'cooldown=100ms\noutput=log\n')
    w.start()
    w.up('david/shop')

    def ask():
        with urllib.request.urlopen('http://127.0.0.1:8000/', timeout=world.PATIENCE) as answer:
            return int(answer.read())
    assert ask() == w.row('david/shop').pid
    with fastcgi_load.Steady(ask) as load:
        for _ in range(3):
            load.more()
            w.dmctl('david', 'restart', 'shop').exits(0)
        load.more()
        assert not load.failed, load.failed
        pid = w.up('david/shop')
        os.kill(pid, signal.SIGKILL)
        world.wait_for(lambda: w.row('david/shop').pid not in (0, pid), 'it is back')
        load.more()
    assert not [one for one in load.failed if 'refused' in one] and len(load.failed) <= 1, load.failed


def redis(w):
    """redis is running when it says so by sd_notify: who connects when start returns is answered, and status shows its words."""
    _needs('/usr/bin/redis-server')
    w.conf('david', 'cache', 'dir=%h\nready=notify\nautostart=no\nstart=exec redis-server --port 7000 --supervised systemd\n')
    w.start()
    w.rescan('david')

    def pong():
        with socket.create_connection(('127.0.0.1', 7000), 5) as client:
            client.sendall(b'PING\r\n')
            return client.recv(100)
    for verb in ('start', 'restart', 'restart'):
        w.dmctl('david', verb, 'cache').exits(0)
        assert pong() == b'+PONG\r\n'
    w.wait_note('Ready to accept connections')
    w.dmctl('david', 'stop', 'cache').exits(0)
    assert not w.find('redis-server')


PARAMS = """\
fastcgi_pass greenfelt;
fastcgi_param SCRIPT_NAME ""; fastcgi_param PATH_INFO $uri; fastcgi_param REQUEST_URI $request_uri; fastcgi_param SERVER_NAME localhost;
fastcgi_param SERVER_PORT 80; fastcgi_param SERVER_PROTOCOL HTTP/1.1; fastcgi_param HTTP_HOST localhost;
"""


def put_catalyst(w):  # no docstring: it is no test
    _needs('/usr/bin/catalyst.pl')
    top = w.folder('/var/www/greenfelt.net', 'www-data')
    w.run('www-data', 'sh', '-c', f'cd /tmp && catalyst.pl Greenfelt && cp -a Greenfelt/. {top}/').exits(0)
    w.folder('/home/david/run', 'david')
    os.chmod('/home/david', 0o711)
    return top


def catalyst(w):
    """Three instances of a Catalyst application behind an nginx upstream of their three sockets are restarted one after the other, and
    no request fails."""
    _needs('/usr/sbin/nginx')
    top = put_catalyst(w)
    w.conf('david', 'greenfelt', f'dir={top}\nuser=www-data\ninstances=3\nlisten=%h/run/%n.%i.sock\nready=connect\nstop_signal=USR1\nstop_timeout=2m\n'
                                 'start=exec ./script/greenfelt_fastcgi.pl\noutput=log\n')
    w.start()
    for number in (1, 2, 3):
        w.up(f'david/greenfelt:{number}')
    servers = ' '.join(f'server unix:/home/david/run/greenfelt.{number}.sock;' for number in (1, 2, 3))
    server = fastcgi_load.nginx('upstream greenfelt { %s }' % servers, PARAMS)

    def ask():
        with urllib.request.urlopen(fastcgi_load.URL, timeout=world.PATIENCE) as answer:
            assert b'Catalyst' in answer.read()

    def asked():
        try:
            ask()
            return True
        except OSError:
            return False
    try:
        world.wait_for(asked, 'the application answers')
        pids = [w.row(f'david/greenfelt:{number}').pid for number in (1, 2, 3)]
        with fastcgi_load.Steady(ask) as load:
            load.more(6)
            w.dmctl('david', 'restart', 'greenfelt').exits(0)
            load.more(6)
        assert not load.failed, load.failed
        assert not set(pids) & {w.row(f'david/greenfelt:{number}').pid for number in (1, 2, 3)}
    finally:
        server.kill()
        server.wait()
    w.dmctl('david', 'stop', 'greenfelt').exits(0)
    assert not os.listdir('/home/david/run') and not w.find('greenfelt_fastcgi')
