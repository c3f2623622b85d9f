"""Real daemons of Debian, with confs as users write them: run, killed with -9, back, stopped with nothing left over."""
import os
import signal
import socket
import subprocess
import urllib.request

import world


def _killed_and_back(w, name, ready):
    """kill -9 of the main process; the daemon comes back and works."""
    pid = w.up(name)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: w.row(name).pid not in (0, pid), f'{name} is back')
    assert w.row(name).respawns >= 1
    world.wait_for(ready, f'{name} works again')
    return w.up(name)


def _stopped_clean(w, owner, name, *needles):
    w.dmctl(owner, 'stop', name).exits(0)
    assert w.row(f'{owner}/{name}').state == 'stopped'
    for needle in needles:
        assert not w.find(needle), f'{needle} is left: {w.find(needle)}'


def _needs(path):
    if not os.path.exists(path):
        raise AssertionError(f'{path} is missing; tests/run installs what it belongs to')


NGINX = """\
daemon off; worker_processes 1; pid /tmp/nginx.pid; error_log stderr; user www-data;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path /tmp/n1; proxy_temp_path /tmp/n2; fastcgi_temp_path /tmp/n3; uwsgi_temp_path /tmp/n4; scgi_temp_path /tmp/n5;
  server {
    listen 127.0.0.1:8080;
    root /home/david/wordpress;
    location / {
      fastcgi_pass unix:/home/david/wordpress/wordpress.socket;
      fastcgi_param SCRIPT_FILENAME $document_root/index.php;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REDIRECT_STATUS 200;
    }
  }
}
"""
PAGE = '<?php echo "pid ", getmypid(), " uid ", posix_geteuid(), " greeting ", getenv("GREETING"), "\\n";\n'


def php_behind_nginx(w):
    """php-cgi behind nginx serves a page as www-data, dies and comes back, and stops with its children."""
    _needs('/usr/bin/php-cgi')
    _needs('/usr/sbin/nginx')
    site = w.folder('/home/david/wordpress', 'david')
    os.chmod('/home/david', 0o711)
    os.chown(site, 1000, world.EXTRA_GROUPS['web'])
    os.chmod(site, 0o2775)
    world.write(site + '/index.php', PAGE, 0o644, 1000, 1000)
    w.conf('david', 'wordpress', f'dir={site}\nuser=www-data\nexport PHP_FCGI_CHILDREN=2\nexport GREETING=bonjour\n'
                                 'start=exec php-cgi -q -b wordpress.socket\n')
    w.start()
    main = w.up('david/wordpress')
    world.write('/tmp/nginx.conf', NGINX)
    server = subprocess.Popen(['/usr/sbin/nginx', '-c', '/tmp/nginx.conf'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def page():
            try:
                with urllib.request.urlopen('http://127.0.0.1:8080/', timeout=5) as answer:
                    return answer.read().decode()
            except OSError:
                return ''
        text = world.wait_for(page, 'nginx serves the page')
        assert 'uid 33' in text and 'greeting bonjour' in text, text
        assert int(text.split()[1]) in w.find('php-cgi')
        world.wait_for(lambda: len(w.find('php-cgi')) == 3, 'the master has two children')
        old = set(w.find('php-cgi'))
        assert main in old
        _killed_and_back(w, 'david/wordpress', page)
        assert not old & set(w.find('php-cgi')), 'children of the old master are left'
        _stopped_clean(w, 'david', 'wordpress', 'php-cgi')
        w.dmctl('david', 'restart', 'wordpress').exits(0)
        world.wait_for(page, 'it serves again')
        _stopped_clean(w, 'david', 'wordpress', 'php-cgi')
    finally:
        server.kill()
        server.wait()


def deluged(w):
    """deluged -d listens as its owner, dies and comes back, and stops with nothing left over."""
    _needs('/usr/bin/deluged')
    w.conf('david', 'deluge', 'dir=/home/david\nstart=exec deluged -d\n')
    w.start()
    pid = w.up('david/deluge')

    def listens():
        with socket.socket() as client:
            client.settimeout(2)
            # The port is one of those that a client gets: connecting to nobody there now and then connects to oneself.
            return client.connect_ex(('127.0.0.1', 58846)) == 0 and client.getsockname() != client.getpeername()
    world.wait_for(listens, 'deluged listens')
    assert w.status_of(pid)['Uid'].split() == ['1000'] * 4
    assert os.path.isdir('/home/david/.config/deluge')
    _killed_and_back(w, 'david/deluge', listens)
    _stopped_clean(w, 'david', 'deluge', 'deluged')
    assert not listens()


def catalyst(w):
    """A Catalyst application answers on its FastCGI socket, dies and comes back, and stops with its manager and workers."""
    for path in ('/usr/bin/catalyst.pl', '/usr/bin/cgi-fcgi'):
        _needs(path)
    top = w.folder('/var/www/greenfelt.net', 'www-data')
    made = w.run('www-data', 'sh', '-c', 'cd /tmp && catalyst.pl Greenfelt && cp -a Greenfelt/. /var/www/greenfelt.net/').exits(0)
    script = f'{top}/script/greenfelt_fastcgi.pl'
    assert os.path.exists(script), repr(made)
    w.conf('david', 'greenfelt', f'dir={top}\nuser=www-data\nstart=exec ./script/greenfelt_fastcgi.pl -l greenfelt.socket -n 1\n'
                                 'output=log\n')
    w.start()
    main = w.up('david/greenfelt')

    def page():
        answer = w.run('www-data', 'env', 'REQUEST_METHOD=GET', 'SCRIPT_NAME=', 'PATH_INFO=/', 'SERVER_NAME=localhost',
                       'SERVER_PORT=80', 'SERVER_PROTOCOL=HTTP/1.1', 'HTTP_HOST=localhost', 'REQUEST_URI=/',
                       'cgi-fcgi', '-bind', '-connect', f'{top}/greenfelt.socket')
        return answer.out if 'Catalyst' in answer.out else ''
    text = world.wait_for(page, lambda: 'the application answers:\n' + w.dmctl('david', 'log', 'greenfelt').text)
    assert 'Greenfelt' in text or 'Catalyst' in text
    world.wait_for(lambda: len(w.of_user('www-data')) >= 2, 'FCGI::ProcManager has its worker')
    old = set(w.of_user('www-data'))
    assert main in old
    world.wait_for(lambda: os.path.exists('/home/david/.daemon-manager/logs/greenfelt.log'), 'there is a log')
    _killed_and_back(w, 'david/greenfelt', page)
    assert not old & set(w.of_user('www-data')), 'workers of the old one are left'
    w.dmctl('david', 'stop', 'greenfelt').exits(0)
    assert not w.of_user('www-data'), [w.command_of(pid) for pid in w.of_user('www-data')]


def php_finishes_its_request(w):
    """A php-cgi that is stopped in the middle of a request ends it first."""
    for path in ('/usr/bin/php-cgi', '/usr/bin/cgi-fcgi'):
        _needs(path)
    site = w.folder('/home/david/site', 'david')
    world.write(site + '/slow.php', '<?php file_put_contents("/tmp/begun", "x"); $t = microtime(true); while (microtime(true) - $t < 1.5); echo "the end\\n";\n', 0o644, 1000, 1000)
    w.conf('david', 'site', f'dir={site}\nexport PHP_FCGI_CHILDREN=2\nstart=exec php-cgi -q -b site.socket\n')
    w.start()
    w.up('david/site')
    world.wait_for(lambda: os.path.exists(site + '/site.socket'), 'the socket is there')
    asker = w.background('david', 'env', 'REQUEST_METHOD=GET', 'REDIRECT_STATUS=200', f'SCRIPT_FILENAME={site}/slow.php',
                         'cgi-fcgi', '-bind', '-connect', f'{site}/site.socket')
    world.wait_for(lambda: os.path.exists('/tmp/begun'), 'the request has begun')
    w.dmctl('david', 'stop', 'site').exits(0)
    said = asker.communicate(timeout=world.PATIENCE)[0]
    assert 'the end' in said, said
    assert not w.find('php-cgi')
