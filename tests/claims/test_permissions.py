"""Who may what: sockets, identities, and what others cannot even learn."""
import os
import stat

import client
import world


def _both(w, config=None):
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    w.start(config)
    return w.up('david/web'), w.up('amy/radio')


def another_users_daemons(w):
    """A user who manages nobody can do nothing to the daemons of others, by any verb. Claim: others-daemons."""
    web, _ = _both(w)
    path = w.conf_path('david', 'web')
    conf = os.stat(path).st_ino, open(path).read()
    for verb in ('start', 'stop', 'restart', 'try-restart', 'reload', 'pid', 'status', 'ps', 'list', 'kill', 'signal', 'log', 'reset-failed',
                 'is-active', 'enable', 'disable', 'cat', 'history'):
        for name in ('david/web', 'david/w*', 'david/*'):
            w.dmctl('amy', verb, name).exits(4).says('not permitted')
    for words in (('scale', 'david/web', '2'), ('scale', 'david/*', '2'), ('disable', '-u', 'david', 'web'), ('cat', '-u', 'david', 'web')):
        w.dmctl('amy', *words).exits(4).says('not permitted')
    assert w.up('david/web') == web and (os.stat(path).st_ino, open(path).read()) == conf


def what_does_not_exist_looks_the_same(w):
    """For daemons of others the answer is the same whether or not daemon and user exist. Claim: others-hidden."""
    _both(w)
    for verb in ('stop', 'reset-failed', 'is-active', 'cat', 'disable', 'history'):
        for names in (('web', 'none', 'wep'), ('*', 'w*', 'x*')):
            answers = set()
            for owner in ('david', 'nobody', 'nosuchuser', 'root', 'bob'):
                for name in names:
                    answer = w.dmctl('amy', verb, f'{owner}/{name}').exits(4)
                    answers.add(answer.text.replace(f'{owner}/{name}', 'ID').replace(owner, 'OWNER').replace(f'{verb} {name}', f'{verb} NAME'))
            assert len(answers) == 1, answers
    for user in ('amy', 'david', 'eve'):
        answers = {w.dmctl('amy', 'explain', user, 'stop', f'{owner}/{name}').exits(4).text.replace(f'{owner}/{name}', 'ID').replace(owner, 'OWNER')
                   for owner in ('david', 'nobody', 'nosuchuser', 'root', 'bob') for name in ('web', 'none')}
        assert len(answers) == 1, answers


def patterns_and_guesses_hide_others(w):
    """No pattern, and no guess at what was meant, tells of a daemon of whom one does not manage. Claims: others-daemons, others-hidden."""
    web, radio = _both(w)
    for verb in ('stop', 'list', 'status', 'is-active', 'cat', 'reset-failed', 'disable', 'history'):
        for pattern in ('w*', 'we?', '*/web', 'd*/*', '?avid/[v-x]eb', '[a-z]*d/web'):
            answer = w.dmctl('amy', verb, pattern).exits(5)
            shown = answer.text.replace(pattern, 'PATTERN')
            again = w.dmctl('amy', verb, 'x*').exits(5).text.replace('x*', 'PATTERN')
            assert shown == again, (shown, again)
        for near in ('wbe', 'webb', 'we'):
            answer = w.dmctl('amy', verb, near).exits(5)
            assert 'did you mean' not in answer.text and 'david' not in answer.text, repr(answer)
    assert w.dmctl('amy', 'list', '*', '*/*', 'a*/r*').exits(0).out.split() == ['amy/radio']
    assert w.dmctl('helpdesk', 'list', '*').exits(0).out.split() == ['david/web']
    assert (w.up('david/web'), w.up('amy/radio')) == (web, radio)


def plain_names_of_others(w):
    """The plain name of another's daemon does not exist for one: exit 5. Claim: others-daemons."""
    web, _ = _both(w)
    w.dmctl('amy', 'stop', 'web').exits(5)
    assert w.up('david/web') == web


def status_shows_ones_own(w):
    """status and list show one's own daemons, and those of whom one manages. Claim: others-hidden."""
    _both(w)
    assert set(w.rows('david')) == {'david/web'}
    assert set(w.rows('amy')) == {'amy/radio'}
    assert set(w.rows('helpdesk')) == {'david/web'}
    assert set(w.rows('root')) == {'david/web', 'amy/radio'}
    assert w.dmctl('amy', 'list').out.split() == ['amy/radio']


def helpdesk_manages(w):
    """Who manages a user controls his daemons with every verb, and nobody else's. Claim: who-manages."""
    web, radio = _both(w)
    w.dmctl('helpdesk', 'restart', 'david/web').exits(0)
    again = w.up('david/web')
    assert again != web
    assert w.dmctl('helpdesk', 'pid', 'web').exits(0).out.strip() == str(again)
    w.dmctl('helpdesk', 'stop', 'web').exits(0)
    w.dmctl('helpdesk', 'start', 'david/web').exits(0)
    w.dmctl('helpdesk', 'stop', 'amy/radio').exits(4)
    assert w.up('amy/radio') == radio


def managing_is_one_way(w):
    """Whom one manages does not manage one. Claim: who-manages."""
    w.conf('helpdesk', 'own', 'dir=/\nstart=sleep 1003\n')
    _both(w, '[runs_as]\ndavid\namy\nhelpdesk\n[manages]\nhelpdesk: david\n')
    own = w.up('helpdesk/own')
    w.dmctl('david', 'stop', 'helpdesk/own').exits(4)
    assert w.up('helpdesk/own') == own


def helpdesk_runs_nothing(w):
    """Who only manages others has no daemons of his own. Claim: who-manages."""
    w.conf('helpdesk', 'own', 'dir=/\nstart=sleep 1003\n')
    _both(w)
    answer = w.dmctl('helpdesk', 'rescan', 'helpdesk')
    assert answer.code != 0, repr(answer)
    assert not w.find('sleep 1003') and 'helpdesk/own' not in w.rows()


def unlisted_user(w):
    """A user who is not listed gets "not permitted" and exit 4, for every verb. Claim: strangers-refused."""
    _both(w)
    for arguments in (('status',), ('list',), ('start', 'web'), ('stop', 'david/web'), ('rescan',), ('stop', '*'), ('list', '*/*'),
                      ('reset-failed', 'all'), ('history', 'david/web'), ('metrics',), ('is-active', 'web'), ('cat', 'david/web'), ('disable', 'david/web')):
        w.dmctl('eve', *arguments).exits(4).says('not permitted')
    w.dmctl('www-data', 'status').exits(4)


def root_may_all(w):
    """Root sees and controls everything. Claim: who-manages."""
    web, radio = _both(w)
    w.dmctl('root', 'restart', 'all').exits(0)
    assert w.up('david/web') != web and w.up('amy/radio') != radio
    w.dmctl('root', 'stop', 'web').exits(0)
    w.dmctl('root', 'stop', 'amy/radio').exits(0)


def sockets(w):
    """Sockets have the modes and owners that keep others out. Claim: sockets-closed."""
    _both(w)
    def look(path):
        info = os.lstat(path)
        return 'socket' if stat.S_ISSOCK(info.st_mode) else 'dir', oct(stat.S_IMODE(info.st_mode)), info.st_uid, info.st_gid
    own = '/home/david/.daemon-manager/command.sock'
    world.wait_for(lambda: os.path.exists(own), own)
    assert look(own) == ('socket', '0o600', 1000, 1000), look(own)
    assert look('/home/david/.daemon-manager') == ('dir', '0o700', 1000, 1000)
    assert look('/run/daemon-manager') == ('dir', '0o755', 0, 0)
    assert look('/run/daemon-manager/root.sock')[:3] == ('socket', '0o600', 0)
    assert look('/run/daemon-manager/command.sock')[:3] == ('socket', '0o666', 0)
    assert look('/run/daemon-manager/log')[1:3] == ('0o700', 0)
    assert oct(stat.S_IMODE(os.lstat('/run/daemon-manager/state').st_mode)) == '0o600'


# Sends one request over a socket and prints what comes back; the file's own rules, so that no dmctl stands between.
ASK = '''
import socket, struct, sys
path, fields = sys.argv[1], sys.argv[2:]
payload = b"".join(field.encode() + b"\\0" for field in fields)
s = socket.socket(socket.AF_UNIX)
s.connect(path)
try:
    s.sendall(struct.pack("<II", 0x31434d44, len(payload)) + payload)
except OSError:
    pass
said = b""
while True:
    try:
        part = s.recv(65536)
    except OSError:
        break
    if not part:
        break
    said += part
print(said.decode(errors="replace").replace("\\0", " "))
'''


def peer_at_anothers_socket(w):
    """A peer at another's socket is not its owner, and gets "not permitted", whatever the mode of the file. Claim:
    peer-identity."""
    web, _ = _both(w)
    path = '/home/david/.daemon-manager/command.sock'
    world.wait_for(lambda: os.path.exists(path), path)
    w.run('amy', '/usr/bin/python3', '-c', ASK, path, 'status', '', '').exits(1)  # the directory shuts her out
    os.chmod('/home/david', 0o755)
    os.chmod('/home/david/.daemon-manager', 0o755)
    os.chmod(path, 0o666)
    for verb in ('status', 'stop'):
        answer = w.run('amy', '/usr/bin/python3', '-c', ASK, path, verb, '', '', 'david/web').exits(0)
        answer.says('not permitted')
        assert 'running' not in answer.out
    assert w.up('david/web') == web


def dmctl_stays_out_of_other_homes(w):
    """dmctl takes the socket in the home that the user database names, not the one in $HOME. Claim: peer-identity."""
    web, _ = _both(w)
    world.wait_for(lambda: os.path.exists('/home/amy/.daemon-manager/command.sock'), "amy's socket")
    answer = w.run('amy', 'env', 'HOME=/home/david', 'dmctl', 'stop', 'web').exits(5)
    assert '/home/david' not in answer.text
    assert w.up('david/web') == web


def shared_socket(w):
    """A user without a socket in his home uses the one in /run, and is who he is there. Claim: peer-identity."""
    _both(w)
    os.unlink('/home/david/.daemon-manager/command.sock')
    assert set(w.rows('david')) == {'david/web'}
    w.dmctl('david', 'stop', 'amy/radio').exits(4)


def link_in_place_of_the_folder(w):
    """A .daemon-manager that is a link into another's home gives no way into it. Claim: home-links."""
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1002\n')
    os.symlink('/home/amy/.daemon-manager', '/home/david/.daemon-manager')
    os.chmod('/home/amy', 0o755)
    w.start()
    w.up('amy/radio')
    answer = w.dmctl('david', 'rescan')
    assert answer.code != 0, repr(answer)
    assert len(w.find('sleep 1002')) == 1
    assert set(w.rows('david')) <= {'david/radio'} and not any(row.state == 'running' for row in w.rows('david').values())


def the_log_tells_who_asked(w):
    """Who asked for what, and whether it was allowed, is in the manager's log. Claim: audit-log."""
    _both(w)
    w.dmctl('helpdesk', 'restart', 'david/web').exits(0)
    w.dmctl('amy', 'stop', 'david/web').exits(4)
    lines = w.log().splitlines()
    assert any('helpdesk' in line and 'restart' in line and 'david/web' in line and 'allowed' in line for line in lines), w.log()
    assert any('amy' in line and 'stop' in line and 'david/web' in line and 'not permitted' in line for line in lines), w.log()


def log_lines_cannot_be_forged(w):
    """A client cannot put lines or control characters into the manager's log. Claim: audit-log."""
    _both(w)
    w.dmctl('amy', 'stop', 'x/y\nroot (uid 0): stop david/web: allowed\x1b[2J').exits(4)
    for line in w.log().splitlines():
        assert not line.startswith('root (uid 0)') and '\x1b' not in line, line


def nonsense_on_the_socket(w):
    """A malformed request gets an error and its connection is closed; nothing else happens. Claim: malformed-requests."""
    web, _ = _both(w)
    worker = w.worker()
    nonsense = ('import socket, os; s = socket.socket(socket.AF_UNIX); s.connect("/run/daemon-manager/command.sock")\n'
                'try:\n    s.sendall({}); s.settimeout(20)\n    while s.recv(4096): pass\nexcept ConnectionError: pass\n')
    for bytes_ in ('b"x" * 100', 'b"DMC1" + b"\\xff" * 4', 'b"DMC1\\0\\0\\0\\0"', 'b"DMC1\\4\\0\\0\\0abcd"', 'os.urandom(4096)'):
        w.run('amy', '/usr/bin/python3', '-c', nonsense.format(bytes_)).exits(0)
    assert w.worker() == worker
    assert w.up('david/web') == web


def targets_cannot_control(w):
    """A daemon that runs as www-data does not let www-data control it. Claim: peer-identity."""
    w.conf('david', 'site', 'dir=/\nuser=www-data\nstart=sleep 1003\n')
    _both(w)
    site = w.up('david/site')
    w.dmctl('www-data', 'stop', 'david/site').exits(4)
    assert w.up('david/site') == site


def managers_see_no_command(w):
    """The command of a conf goes to its owner and root, not to who manages him, whatever he asks the manager for. Claim:
    command-is-the-owners."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 8003; true hush-hush\nautostart=no\n')
    w.start('[runs_as]\ndavid\n[manages]\nhelpdesk: david\n')
    w.dmctl('helpdesk', 'list').exits(0).says('david/web')
    socket_of = {'helpdesk': client.SHARED, 'david': client.home_socket(w, 'david'), 'root': world.RUN_DIR + '/root.sock'}
    for flags in ('', 'long', 'no-wait,long', 'with-dependants,long'):
        for user, path in socket_of.items():
            answer = client.ask(user, client.request('status', 'david/web', flags=flags), path)
            told = 'hush-hush' in str(answer)
            assert 'david/web' in str(answer) and told == ('long' in flags and user != 'helpdesk'), (user, flags, answer)
    assert 'hush-hush' not in w.dmctl('helpdesk', 'status', '-l', '--json', 'david/web').exits(3).text
