"""--json: each reading verb says one document as the schema has it, errors included, and stdout holds nothing else."""
import json

import schema
import world


def _two(w):
    w.conf('david', 'web', 'dir=/\noutput=discard\nstart=sleep 4001\n')
    w.conf('david', 'idle', 'dir=/\nautostart=no\nstart=sleep 4002\n')
    w.start()
    w.up('david/web')


def status_as_json(w):
    """status --json tells of each daemon what status tells, numbers as numbers, and ends with status's exit code."""
    _two(w)
    document = schema.ask(w, 'david', 'status')
    idle, web = document['daemons']
    assert (idle['id'], idle['state'], idle['pid'], idle['active']) == ('david/idle', 'stopped', None, False), idle
    assert (web['id'], web['state'], web['active'], web['target'], web['log']) == ('david/web', 'running', True, 'david', None), web
    assert web['pid'] in w.pids() and web['respawns'] == 0 and web['total_ms'] >= web['uptime_ms'] >= 0, web
    assert schema.ask(w, 'david', '--json', 'ps', 'web')['verb'] == 'status'
    assert schema.ask(w, 'david', 'status', 'idle', code=3)['daemons'][0]['id'] == 'david/idle'


def lists_as_json(w):
    """list, is-active and pid --json tell the same of each daemon that they print without, and version both versions."""
    _two(w)
    assert schema.ask(w, 'david', 'list')['daemons'] == [{'id': 'david/idle'}, {'id': 'david/web'}]
    assert schema.ask(w, 'david', 'list', 'idle')['daemons'] == [{'id': 'david/idle'}]
    active = schema.ask(w, 'david', 'is-active', 'web', 'idle', code=3)['daemons']
    assert active == [{'id': 'david/web', 'state': 'running', 'active': True}, {'id': 'david/idle', 'state': 'stopped', 'active': False}]
    pid = int(w.dmctl('david', 'pid', 'web').exits(0).out)
    assert schema.ask(w, 'david', 'pid', 'web')['daemons'] == [{'id': 'david/web', 'pid': pid}]
    assert schema.ask(w, 'david', 'pid', 'all', code=3)['daemons'] == [{'id': 'david/idle', 'pid': None}, {'id': 'david/web', 'pid': pid}]
    version = schema.ask(w, 'david', 'version')
    assert version['dmctl'] == version['manager'] and 'manager' not in schema.ask(w, 'david', '--version'), version


def errors_as_json(w):
    """With --json an error is an object in the document with the id, the code and the words; stderr stays empty."""
    _two(w)
    document = schema.ask(w, 'david', 'status', 'web', 'idel', 'amy/x', code=4)
    assert [daemon['id'] for daemon in document['daemons']] == ['david/web'], document
    errors = {error['id']: error for error in document['errors']}
    assert errors['idel']['code'] == 5 and 'did you mean' in errors['idel']['text'], errors
    assert errors['amy/x']['code'] == 4, errors
    usage = schema.ask(w, 'david', 'status', '--frobnicate', code=2)
    assert usage['verb'] is None and '--frobnicate' in usage['errors'][0]['text'], usage
    refused = schema.ask(w, 'david', 'start', 'web', code=2)
    assert refused['verb'] == 'start' and 'takes no --json' in refused['errors'][0]['text'], refused
    assert w.dmctl('david', 'status', '-q', '--json').exits(0).out == ''
    w.stop()
    down = schema.ask(w, 'david', 'list', code=7)
    assert 'daemons' not in down and down['errors'][0]['code'] == 7 and 'not running' in down['errors'][0]['text'], down


def schema_refuses(w):
    """The schema is one that a document can fail: members that are missing, unknown or of another kind are faults."""
    _two(w)
    document = schema.ask(w, 'david', 'status')
    def fails(change):
        import copy
        broken = copy.deepcopy(document)
        change(broken)
        try:
            schema.check(broken)
        except AssertionError:
            return True
        return False
    assert fails(lambda d: d.pop('schema')) and fails(lambda d: d.update(schema=2)) and fails(lambda d: d.update(colour='red'))
    assert fails(lambda d: d.pop('daemons')) and fails(lambda d: d.pop('errors')) and fails(lambda d: d['daemons'][0].pop('pid'))
    assert fails(lambda d: d['daemons'][0].update(pid='17')) and fails(lambda d: d['daemons'][0].update(state='asleep'))
    assert fails(lambda d: d['errors'].append({'text': 'x'}))


def logs_as_json(w):
    """log and tail --json print each line as an object with id, time and text, several logs and -n and --grep too, and then how it ended."""
    for name in ('one', 'two'):
        w.conf('david', name, f'dir=/\noutput=log\nstart=echo {name} speaks; printf \'caf\\303\\251 \\351 "x" \\033[1m\\n\'; exec sleep 4005\n')
    w.start()
    for name in ('one', 'two'):
        w.up('david/' + name)
        world.wait_for(lambda: 'caf' in w.dmctl('david', 'log', name).out, 'it has spoken')
    records, end = schema.lines(w, 'david', 'log', 'one')
    assert end['errors'] == [] and [record['text'] for record in records[1:]] == ['one speaks', 'caf\u00e9 \\xe9 "x" \x1b[1m'], records
    assert all(record['id'] == 'david/one' and record['time'].endswith('Z') for record in records), records
    assert [record['text'] for record in schema.lines(w, 'david', 'tail', 'one', 'two', '-n', '2', '--grep', 'speaks')[0]] == ['one speaks', 'two speaks']
    records, end = schema.lines(w, 'david', 'log', 'one', 'nosuch', '-n1', code=5)
    assert len(records) == 1 and end['errors'][0]['code'] == 5, end
    following = w.background('david', world.DMCTL, 'log', 'one', '-f', '--json')
    assert json.loads(following.stdout.readline())['id'] == 'david/one'
    following.kill()
    following.wait()


def confs_as_json(w):
    """check --json tells of each conf its problems with line and column, and cat --json gives the text of confs."""
    good, bad = 'dir=/\noutput=discard\nstart=sleep 4006\n', 'dir=/\ncolour=red\nstart=\n'
    w.conf('david', 'good', good)
    w.conf('david', 'bad', bad)
    w.start()
    document = schema.ask(w, 'david', 'check', code=1)
    confs = {conf['name']: conf for conf in document['confs']}
    assert confs['good']['ok'] and confs['good']['path'] == w.conf_path('david', 'good') and not confs['bad']['ok'], confs
    problems = {(problem['line'], problem['warning']) for problem in confs['bad']['problems']}
    assert (2, True) in problems and (3, False) in problems, confs['bad']
    assert schema.ask(w, 'david', 'check', 'good', 'nosuch', code=5)['errors'][0]['code'] == 5
    assert schema.ask(w, 'david', 'cat', 'good')['confs'] == [{'id': 'david/good', 'path': w.conf_path('david', 'good'), 'text': good}]
    assert schema.ask(w, 'helpdesk', 'cat', 'david/good', code=4)['errors'][0]['id'] is None


def not_utf8_as_json(w):
    """Bytes that are no UTF-8, and sequences for terminals, in notes and confs break no document, and stand there in ASCII."""
    w.conf('david', 'odd', 'dir=/\nstart=sleep 4007\n')
    with open(w.conf_path('david', 'odd'), 'ab') as file:
        file.write(b'# \xff\xfe \x1b[2J \xc2\x9b2J\nexport X=\xe9\n')
    w.start()
    w.up('david/odd')
    text = schema.ask(w, 'david', 'cat', 'odd')['confs'][0]['text']
    assert text == 'dir=/\nstart=sleep 4007\n# \\xff\\xfe \x1b[2J \x9b2J\nexport X=\\xe9\n', repr(text)
    answer = w.run('david', world.DMCTL, 'cat', 'odd', '--json').exits(0).out
    assert answer.isascii() and '\x1b' not in answer, answer
    usage = schema.ask(w, 'david', 'status', b'\xff'.decode(errors='surrogateescape'), code=5)
    assert usage['errors'][0]['id'] == '\\xff', usage
