"""--json: each reading verb says one document as the schema has it, errors included, and stdout holds nothing else."""
import schema


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
