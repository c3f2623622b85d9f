"""What dmctl says when something is wrong: what happened, to what, why, and what to type next; and how it waits at a terminal."""
import os
import re
import signal
import socket
import struct
import subprocess
import threading

import terminal
import world

REQUEST, ROW, OUTCOME, TEXT, END = 0x31434d44, 1, 2, 3, 4


def _frame(kind, *fields):
    payload = b''.join(field.encode() + b'\0' for field in fields)
    return struct.pack('<II', kind, len(payload)) + payload


class Other:
    """A manager of another kind at david's socket: answers each request with what `answer` makes of its verb."""

    def __init__(self, w, answer):
        path = w.folder('/home/david/.daemon-manager', 'david', 0o700) + '/command.sock'
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(8)
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                request = connection.recv(65536)
                connection.sendall(self.answer(request[8:].split(b'\0')[0].decode()))


def not_running(w):
    """No manager since the boot, one that has ended, and a socket that shuts one out each have words of their own and the next command."""
    w.clear_run()
    w.dmctl('david', 'status').exits(7).says('there is no /run/daemon-manager', 'nobody has started it', 'systemctl start daemon-manager')
    w.clear_run(furnish=True)
    w.conf('david', 'web', 'dir=/\nstart=sleep 4501\n')
    w.start()
    w.up('david/web')
    w.manager.kill()
    w.manager.wait()
    # Its worker ends with it, a moment later.
    world.wait_for(lambda: w.dmctl('david', 'status').code == 7, 'nobody listens any more')
    w.dmctl('david', 'status').exits(7).says('its socket is there, but nobody listens', 'Connection refused', 'journalctl', 'systemctl start daemon-manager')
    w.start()
    w.up('david/web')
    os.chmod(world.RUN_DIR + '/command.sock', 0o600)
    w.dmctl('eve', 'status').exits(7).says('does not let you in: permission denied', 'namei -l /run/daemon-manager/command.sock')
    os.chmod(world.RUN_DIR + '/command.sock', 0o666)
    w.dmctl('eve', 'status').exits(4).says('you (uid 1005) are not listed', 'under [runs_as] in /etc/daemon-manager.conf', 'reload daemon-manager')


def of_other_versions(w):
    """A manager of another version is told from one that makes no sense: both versions are said, and how to bring them together."""
    other = Other(w, lambda verb: _frame(TEXT, 'daemon-manager 9.9\n') + _frame(END, '0') if verb == 'version' else
                  _frame(OUTCOME, '2', '', f"the manager (9.9) does not know '{verb}'", 'unknown-verb') + _frame(END, '2') if verb == 'pid' else
                  _frame(99, 'what'))
    own = w.run('david', world.DMCTL, '--version').exits(0).out.split()[1]
    for words, code in ((('pid', 'web'), 2), (('status',), 1), (('start', 'web'), 1)):
        answer = w.dmctl('david', *words).exits(code).says(f'dmctl is {own} and the manager 9.9', 'daemon-manager --upgrade')
        assert words[0] != 'status' or f'makes no sense to dmctl {own}' in answer.err, answer
    answer = w.dmctl('david', 'version').exits(0).says(f'dmctl is {own} and the manager 9.9', '--upgrade')
    assert answer.out == f'dmctl {own}\ndaemon-manager 9.9\n', answer
    other.answer = lambda verb: b'HTTP/1.1 400 Bad Request\r\n\r\n'
    w.dmctl('david', 'status').exits(1).says('what listens at its socket may be no manager')


def unknown_verbs_of_a_manager(w):
    """A request with a verb that the manager does not know is answered with its version, in words that dmctl can tell from others."""
    w.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(world.RUN_DIR + '/root.sock')
        client.sendall(_frame(REQUEST, 'frobnicate', '', ''))
        said = b''
        while piece := client.recv(65536):
            said += piece
    assert b"does not know 'frobnicate'" in said and b'\0unknown-verb\0' in said, said


def alone_in_the_world(w):
    """Every verb works with an empty environment, and with standard input, output or error closed no descriptor is taken for another."""
    w.conf('david', 'web', 'dir=/\noutput=log\nreload=CONT\nstart=echo hello; exec sleep 4502\n')
    w.conf('david', 'team', 'dir=/\ninstances=1\nautostart=no\nstart=sleep 4503\n')
    w.start()
    w.up('david/web')
    world.wait_for(lambda: 'hello' in w.dmctl('david', 'log', 'web').out, 'it wrote')
    verbs = [line.split('\t')[0] for line in w.dmctl('david', 'help', '.verbs').exits(0).out.splitlines()]
    words = {'status': [], 'list': [], 'is-active': ['web'], 'start': ['web'], 'stop': ['web'], 'restart': ['web'], 'try-restart': ['web'],
             'reload': ['web'], 'scale': ['team', '2'], 'reset-failed': ['web'], 'kill': ['CONT', 'web'], 'pid': ['web'], 'log': ['web'],
             'tail': ['web'], 'reopen': ['web'], 'rescan': [], 'enable': ['web'], 'disable': ['web'], 'cat': ['web'], 'check': [],
             'new': ['fresh', '--dir', '/', '--start', 'sleep 4504'], 'history': ['web'], 'explain': ['david', 'stop', 'web'], 'metrics': [],
             'version': [], 'help': []}
    by_hand = {'edit', 'top'}  # they want an editor, or a terminal
    assert set(verbs) <= set(words) | by_hand, set(verbs) - set(words)
    for verb in sorted(set(verbs) - by_hand, key=lambda verb: (verb == 'new', verb)):
        for closing in ('', '<&-', '2>&-', '<&- 2>&-'):
            line = ' '.join(f"'{word}'" for word in [verb, *words[verb]])
            done = subprocess.run(['/bin/bash', '-c', f'exec env -i {world.DMCTL} {line} {closing}'], capture_output=True, text=True,
                                  env={}, cwd='/', timeout=world.PATIENCE, stdin=subprocess.DEVNULL, **w.ids('david'))
            assert done.returncode == 0, (verb, closing, done)
            assert done.stdout or verb == 'tail', (verb, closing, done)
            if verb in ('stop', 'disable'):
                w.dmctl('david', 'start' if verb == 'stop' else 'enable', 'web').exits(0)
            if verb == 'new':
                os.unlink(w.conf_path('david', 'fresh'))
        # What cannot be said is a failure; nothing of it goes into a socket that took the number.
        done = subprocess.run(['/bin/bash', '-c', f'exec env -i {world.DMCTL} {line} >&-'], capture_output=True, text=True, env={}, cwd='/',
                              timeout=world.PATIENCE, stdin=subprocess.DEVNULL, **w.ids('david'))
        assert done.returncode == 1 and 'cannot write to stdout' in done.stderr, (verb, done)
        if verb in ('stop', 'disable'):
            w.dmctl('david', 'start' if verb == 'stop' else 'enable', 'web').exits(0)
    assert w.up('david/web')


def every_verb_is_tested(w):
    """Each verb of dmctl is run in some end-to-end test, and told of in its man page."""
    verbs = [line.split('\t')[0] for line in w.dmctl('david', 'help', '.verbs').exits(0).out.splitlines()]
    assert len(verbs) > 20, verbs
    for verb in verbs:
        assert any(re.search(rf"""['"]{re.escape(verb)}['" ]""", text) for name, text in TESTS.items() if name != 'test_words.py'), f'no test runs {verb}'
        assert re.search(rf'(?m)^\.It Ic (\w+ Ar id \.\.\. , Ic )?{re.escape(verb)}\b', MAN), f'dmctl(1) does not tell of {verb}'


def every_flag_is_tested(w):
    """Each option of dmctl is given to each verb that takes it in some end-to-end test, is told of in the man page, and is refused by a
    verb that does not take it."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 4507\n')
    w.start()
    w.up('david/web')
    table = re.findall(r"""\{"(--[\w-]+)", (?:'(\w)'|0), "([^"]*)", "([^"]*)", "([^"]+)",""", OPTIONS)
    assert len(table) > 20, table
    for name, letter, value, verbs, _ in table:
        given = re.compile(rf"""['" \[]({re.escape(name)}{f"|-{letter}[0-9]*" if letter else ''})['"= ]""", re.M)
        for verb in verbs.split() or ['']:
            used = any(given.search(line) and re.search(rf"\b{verb}\b", line) for text in TESTS.values() for line in text.splitlines())
            assert used, f'no test gives {name} to {verb or "any verb"}'
        assert re.search(rf'(?m)^\.It (Fl .*)?Fl -?{re.escape(name[1:])}\b', MAN), f'dmctl(1) does not tell of {name}'
        if verbs:
            w.dmctl('david', 'pid', 'web', name, *([{'--sort': 'name', '--form': 'raw'}.get(name, '1')] if value else [])).exits(2).says(f'pid takes no {name}; only {verbs.split()[0]}')


def json_is_told(w):
    """The verbs that take --json are those that dmctl(1) lists under JSON, and dmctl help VERB tells of it and of the verb's other options."""
    section = MAN[MAN.index('.Ss JSON'):MAN.index('print one JSON document')]
    listed = set(re.findall(r'[a-z-]+', section.partition('Pq Ic')[2]))
    verbs = [line.split('\t')[0] for line in w.dmctl('david', 'help', '.verbs').exits(0).out.splitlines()]
    takers = {verb for verb in verbs if '--json\t' in w.dmctl('david', 'help', '.options', verb).exits(0).out}
    assert len(takers) > 8 and takers == listed & set(verbs), (takers, listed)
    for verb in verbs:
        told = w.dmctl('david', 'help', verb).exits(0).out
        assert ('--json' in told) == (verb in takers) and told == w.dmctl('david', verb, '--help').exits(0).out, told
    w.dmctl('david', 'help', 'log').exits(0).says('-n, --lines LINES', 'the last LINES lines', '--since TIME', '--no-pager')
    w.dmctl('david', 'kill', '--help').exits(0).says('-s, --signal SIGNAL')
    assert '--sort' not in w.dmctl('david', 'help', 'log').out and '--yes' not in w.dmctl('david', 'help', 'stop').out


def help_of_one_verb(w):
    """What help says of an option of a verb is what it does there, not what it does elsewhere."""
    log, new, edit, start, top, status = (w.dmctl('david', 'help', verb).exits(0).out for verb in ('log', 'new', 'edit', 'start', 'top', 'status'))
    for text, said, others in ((log, "of this user's daemons", 'run as'), (new, 'who it shall run as', "of this user's"), (new, 'start it', 'restart it'),
                               (edit, 'restart it where it runs', 'new:'), (start, "of this user's daemons", 'new'), (top, 'between two looks', 'watch'),
                               (status, 'between two pictures of --watch', 'looks')):
        assert said in text and others not in text, (said, others, text)
    w.dmctl('david', 'help', 'restart').exits(0).says('read the conf again, stop, start')
    assert 'new: ' in w.dmctl('david', 'help', '.options').exits(0).out


HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = {name: open(f'{HERE}/{name}').read() for name in os.listdir(HERE) if name.startswith('test_')}
MAN = open(os.path.join(os.path.dirname(os.path.dirname(HERE)), 'man/dmctl.1')).read()
OPTIONS = open(os.path.join(os.path.dirname(os.path.dirname(HERE)), 'src/dmctl/options.cc')).read()

# How each verb is called for a daemon ID; None: it is of no daemon.
CALLS = {'status': ['ID'], 'list': ['ID'], 'is-active': ['ID'], 'start': ['ID'], 'stop': ['ID'], 'restart': ['ID'], 'try-restart': ['ID'],
         'reload': ['ID'], 'scale': ['ID', '2'], 'reset-failed': ['ID'], 'kill': ['TERM', 'ID'], 'pid': ['ID'], 'log': ['ID'], 'tail': ['ID'], 'reopen': ['ID'],
         'enable': ['ID'], 'disable': ['ID'], 'cat': ['ID'], 'history': ['ID'], 'explain': ['david', 'stop', 'ID'], 'metrics': ['ID'],
         'rescan': None, 'version': None, 'help': None, 'check': None, 'new': None, 'edit': None, 'top': None}


def exit_codes(w):
    """Exit codes are the same in every verb: 5 for a daemon there is none of, 4 for one of another's, 2 for wrong words, 7 without a
    manager."""
    w.conf('david', 'web', 'dir=/\nstart=sleep 4505\n')
    w.conf('amy', 'bot', 'dir=/\nstart=sleep 4506\n')
    w.start()
    w.up('david/web')
    verbs = [line.split('\t')[0] for line in w.dmctl('david', 'help', '.verbs').exits(0).out.splitlines()]
    assert set(verbs) <= set(CALLS), set(verbs) - set(CALLS)
    def ask(verb, name):
        return w.dmctl('david', verb, *(name if word == 'ID' else word for word in CALLS[verb] or ()))
    for verb in verbs:
        w.dmctl('david', verb, '--frobnicate').exits(2)
        if CALLS[verb] is None:
            continue
        ask(verb, 'nosuch').exits(5).says('nosuch')
        ask(verb, 'amy/bot').exits(4).says('not permitted')
        ask(verb, 'amy/none').exits(4).says('not permitted')
        if verb not in ('status', 'list', 'metrics'):
            w.dmctl('david', verb).exits(2)
    w.stop()
    w.clear_run()  # else each would wait a moment for one that is being restarted
    for verb in verbs:
        if CALLS[verb] is not None and verb not in ('log', 'tail', 'cat', 'enable', 'disable'):  # on one's own files
            ask(verb, 'web').exits(7).says('not running')
    w.dmctl('david', 'rescan').exits(7)
    w.dmctl('david', 'version').exits(7)


def shows_what_it_waits_for(w):
    """At a terminal a verb that waits shows one line with what is still on its way, redrawn and taken away at the end; not so with -q or
    where it is quick."""
    w.conf('david', 'slow', 'dir=/\noutput=discard\nstop_timeout=1h\nstart=trap "" TERM; while [ ! -e /tmp/go ]; do sleep 0.1; done\n')
    w.start()
    w.up('david/slow')
    it = terminal.Terminal(w, 'david', world.DMCTL, 'stop', 'slow')
    it.expect('waiting').expect('david/slow is still being stopped; it has ').expect('waiting for 2s')
    open('/tmp/go', 'w').close()
    said = it.ends(0)
    assert said.count('\n') == 1 and said.endswith('\r\x1b[Kdavid/slow: stopped\n'), said
    os.unlink('/tmp/go')
    quick = terminal.Terminal(w, 'david', world.DMCTL, 'start', 'slow').ends(0)
    assert quick.startswith('david/slow: running, pid '), quick
    quiet = terminal.Terminal(w, 'david', world.DMCTL, '-q', 'stop', 'slow')
    world.wait_for(lambda: w.row('david/slow').state == 'stopping', 'it is being stopped')
    open('/tmp/go', 'w').close()
    assert quiet.ends(0) == ''


def fit_a_narrow_terminal(w):
    """On a terminal of 60 columns errors and outcomes are broken between words and indented, with ids, paths and commands in one piece; in a
    pipe a line is a line."""
    long = 'a-name-of-nearly-as-many-letters-as-such-a-name-may-have-here'
    w.conf('david', 'web', 'dir=/nowhere/at/all/and/nothing/else/either/where/nobody/has/ever/been\nstart=sleep 4508\nautostart=no\n')
    w.conf('david', long, 'dir=/\nstart=sleep 4509\nrequires=gone\n')
    w.conf('david', 'idle', 'dir=/\nstart=sleep 4510\nautostart=no\n')
    w.start()
    w.wait_note('gone', user='david')
    w.dmctl('david', 'enable', 'idle')
    w.conf('david', 'late', 'dir=/\nstart=sleep 4511\nautostart=no\n')
    copied = {'dmctl start late', 'dmctl rescan', 'dmctl new nosuch makes', 'dmctl help', f'{w.conf_path("david", "web")}\n',
              f'{w.conf_path("david", long)}:3:10:\n'}
    seen = set()
    for words in (['stop', 'late', 'amy/web'], ['start', 'web', long], ['enable', 'idle'], ['disable', 'amy/bot'], ['edit', 'nosuch'], ['explain', 'david', 'start', 'web'],
                  ['start', 'web', '--sort=name'], ['log', 'web', 'nosuch'], ['check', 'nosuch'], ['history', 'web'], ['frobnicate']):
        plain = w.run('david', 'sh', '-c', 'dmctl "$@" 2>&1', 'sh', *words)
        narrow = terminal.Terminal(w, 'david', world.DMCTL, *words, columns=60).ends(plain.code)
        for line in narrow.splitlines():
            assert len(line) <= 60 or line.strip().count(' ') == 0, (line, narrow)
        assert narrow.split() == plain.out.split() and '\n  ' in narrow, (narrow, plain)
        seen |= {thing for thing in copied if thing in narrow}
    assert seen == copied, copied - seen


def lets_go_at_control_c(w):
    """Ctrl-C ends a verb that waits with 130, says what goes on and how to see it, and what was asked for goes on."""
    w.conf('david', 'slow', 'dir=/\noutput=discard\nstop_timeout=1h\nstart=trap "" TERM; while [ ! -e /tmp/go ]; do sleep 0.1; done\n')
    w.start()
    pid = w.up('david/slow')
    it = terminal.Terminal(w, 'david', world.DMCTL, 'stop', 'slow', COLUMNS='50')
    it.expect('waiting: david/slow').type('\x03')
    said = it.ends(130)
    # There is room for the terminal's ^C behind the line, so that all of it can be taken back, and its cut is marked.
    drawn = re.findall(r'\r(waiting.*?)\x1b\[K', said)
    assert drawn and max(map(len, drawn)) <= 47 and any(line.endswith('…') for line in drawn), drawn
    assert 'dmctl: interrupted; what was asked for goes on\n' in said, said
    whole = said.replace('\n  ', ' ')
    assert re.search(r'david/slow is still being stopped: it has (1h|59m\S*) more to end, then it is killed .*; dmctl status david/slow shows it\n', whole), whole
    assert w.alive(pid) and w.row('david/slow').state == 'stopping'
    # Not only at a terminal.
    with w.background('david', world.DMCTL, 'stop', 'slow') as waiting:
        world.wait_for(lambda: int(w.status_of(waiting.pid).get('SigCgt', '0'), 16) >> (signal.SIGINT - 1) & 1, 'it waits')
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(world.PATIENCE) == 130 and 'still being stopped' in waiting.stdout.read()
    open('/tmp/go', 'w').close()
    w.wait_state('david/slow', 'stopped')
