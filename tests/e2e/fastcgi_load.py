"""PHP behind nginx under load, while its daemon is restarted and killed with -9: what was refused, what was lost, and by which."""
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import world

CHILDREN = 4      # of php-cgi: so many requests are inside of it at most
CONNECTIONS = 16  # of the load
SITE = '/home/david/wordpress'
# A request takes some milliseconds, so that there always are some inside of php-cgi.
PAGE = '<?php usleep(3000); echo "uid ", posix_geteuid(), "\\n";\n'
NGINX = """\
daemon off; worker_processes 1; pid /tmp/nginx.pid; error_log /tmp/nginx.error; user www-data;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path /tmp/n1; proxy_temp_path /tmp/n2; fastcgi_temp_path /tmp/n3; uwsgi_temp_path /tmp/n4; scgi_temp_path /tmp/n5;
  %s
  server {
    listen 127.0.0.1:8088;
    location / {
      %s
      fastcgi_next_upstream off;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REDIRECT_STATUS 200;
    }
  }
}
"""
URL = 'http://127.0.0.1:8088/'
# How nginx says that nobody took the connection, and that one was cut.
REFUSED = re.compile(r'\((111: Connection refused|2: No such file or directory|11: Resource temporarily unavailable)\)')
CUT = re.compile(r'upstream prematurely closed|\(104: Connection reset by peer\)|\(32: Broken pipe\)')


def nginx(before, inside):
    """Starts nginx in the world; to be killed."""
    world.write('/tmp/nginx.conf', NGINX % (before, inside))
    return subprocess.Popen(['/usr/sbin/nginx', '-c', '/tmp/nginx.conf'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def errors():
    """Connections refused, and those cut, so far."""
    try:
        with open('/tmp/nginx.error', errors='replace') as log:
            lines = log.read().splitlines()
    except FileNotFoundError:
        return 0, 0
    return sum(bool(REFUSED.search(line)) for line in lines), sum(bool(CUT.search(line)) for line in lines)


def put_site(w, held):
    """The site and its daemon; `held`: with listen=, else php-cgi makes its socket itself."""
    w.folder(SITE, 'david')
    os.chmod('/home/david', 0o711)
    os.chown(SITE, 1000, world.EXTRA_GROUPS['web'])
    os.chmod(SITE, 0o2775)
    world.write(SITE + '/index.php', PAGE, 0o644, 1000, 1000)
    lines = f'dir={SITE}\nuser=www-data\nexport PHP_FCGI_CHILDREN={CHILDREN}\ncooldown=100ms\n'
    lines += 'listen=%h/wordpress/%n.sock\nstart=exec php-cgi -q\n' if held else 'start=exec php-cgi -q -b wordpress.sock\n'
    w.conf('david', 'wordpress', lines)


class Wrk:
    """The load, in the background; what it says of failures."""

    def __init__(self, seconds):
        self.running = subprocess.Popen(['wrk', '-t1', f'-c{CONNECTIONS}', f'-d{seconds}s', '--timeout', '30s', URL],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """Requests that were answered, those that failed, and those of them that had no answer for 30 s."""
        said = self.running.communicate(timeout=world.PATIENCE)[0]
        answered = int(re.search(r'(\d+) requests in', said)[1])
        bad = re.search(r'Non-2xx or 3xx responses: (\d+)', said)
        broken = re.search(r'Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)', said)
        return answered, (int(bad[1]) if bad else 0) + (sum(int(one) for one in broken.groups()) if broken else 0), \
            int(broken[4]) if broken else 0


def _restart(w):
    w.dmctl('david', 'restart', 'wordpress').exits(0)


def _kill(w):
    pid = w.up('david/wordpress')
    os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: w.row('david/wordpress').pid not in (0, pid), 'it is back')


def run(w, held, seconds, times):
    """Loads the site for so many seconds, in which it is restarted and killed so many times each. Returns a dict of counts."""
    put_site(w, held)
    w.start()
    w.up('david/wordpress')
    server = nginx('', f'fastcgi_pass unix:{SITE}/wordpress.sock; fastcgi_param SCRIPT_FILENAME {SITE}/index.php;')
    try:
        world.wait_for(answers, 'the site answers')
        before = errors()
        load = Wrk(seconds)
        begin = time.monotonic()
        found = {'restarts': times, 'kills': times, 'by_restarts': [0, 0], 'by_kills': [0, 0], 'worst_kill': 0, 'longest': [0, 0]}
        for step in range(2 * times):
            # What happens up to the next one is this one's doing.
            time.sleep(max(0, begin + (step + 0.5) * seconds / (2 * times + 1) - time.monotonic()))
            seen = errors()
            called = time.monotonic()
            (_kill if step % 2 else _restart)(w)
            found['longest'][step % 2] = max(found['longest'][step % 2], round(time.monotonic() - called, 2))
            time.sleep(max(0, begin + (step + 1.4) * seconds / (2 * times + 1) - time.monotonic()))
            now = errors()
            by = found['by_kills' if step % 2 else 'by_restarts']
            by[0] += now[0] - seen[0]
            by[1] += now[1] - seen[1]
            if step % 2:
                found['worst_kill'] = max(found['worst_kill'], now[1] - seen[1])
        found['answered'], found['failed'], found['silent'] = load.end()
        found['refused'], found['cut'] = (now - then for now, then in zip(errors(), before))
        return found
    finally:
        server.kill()
        server.wait()


def answers():
    try:
        with urllib.request.urlopen(URL, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


class Steady(threading.Thread):
    """Asks again and again until it is told to end; counts what was answered and what was not."""

    def __init__(self, ask):
        super().__init__()
        self.ask, self.answered, self.failed, self.over = ask, 0, [], False

    def run(self):
        while not self.over:
            try:
                self.ask()
                self.answered += 1
            except Exception as problem:  # whatever it is, it is a request that failed
                self.failed.append(repr(problem))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()

    def more(self, count=20):
        """Waits until so many more were answered."""
        goal = self.answered + count
        world.wait_for(lambda: self.answered >= goal, lambda: f'{count} more answers; failed: {self.failed[-3:]}')
