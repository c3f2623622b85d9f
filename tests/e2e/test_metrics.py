"""dmctl metrics: the text format of Prometheus, read by a parser that forgives nothing."""
import re

import schema
import world

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'


def _parse(text):
    """{(name, frozenset of labels): value}, as the format demands: HELP and TYPE once and first, families whole, no sample twice."""
    assert text.endswith('\n') and '\r' not in text, text[-80:]
    types, helps, samples, family, seen = {}, set(), {}, None, set()
    for line in text[:-1].split('\n'):
        comment = re.fullmatch(rf'# (HELP|TYPE) ({NAME}) (.+)', line)
        if comment:
            kind, name, rest = comment.groups()
            if name != family:
                assert name not in seen, f'{name} is in two places'
                seen.add(name)
                family = name
            if kind == 'HELP':
                assert name not in helps and re.fullmatch(r'(?:[^\\]|\\[\\n])*', rest), line
                helps.add(name)
            else:
                assert name not in types and rest in ('counter', 'gauge'), line
                types[name] = rest
            continue
        sample = re.fullmatch(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+(?:\.\d+)?)', line)
        assert sample, f'no sample: {line!r}'
        name, labels, value = sample.group(1), re.findall(LABEL, sample.group(2) or ''), float(sample.groups()[-1])
        assert name == family and name in types and name in helps, line
        assert types[name] != 'counter' or name.endswith('_total'), line
        assert len({key for key, _ in labels}) == len(labels), line
        key = name, frozenset(labels)
        assert key not in samples, f'twice: {line}'
        samples[key] = value
    return samples


def _of(samples, name, daemon, **labels):
    return samples.get(('daemon_manager_' + name, frozenset({'daemon': daemon, **labels}.items())))


def of_daemons(w):
    """metrics has up, state, starts, respawns, uptime and last exit of each daemon that the caller may see, and nothing of others."""
    w.conf('david', 'web', 'dir=/\ncooldown=100ms\nstart=sleep 4301\n')
    w.conf('david', 'code', 'dir=/\nrestart=never\nstart=exit 7\n')
    w.conf('amy', 'idle', 'dir=/\nautostart=no\nstart=sleep 4302\n')
    w.start()
    w.up('david/web')
    w.dmctl('david', 'kill', 'KILL', 'web').exits(0)
    world.wait_for(lambda: w.row('david/web').respawns == 1 and w.row('david/web').state == 'running', 'it came back')
    w.wait_state('david/code', 'failed')
    his = _parse(w.dmctl('david', 'metrics').exits(0).out)
    samples = schema.ask(w, 'david', 'metrics')['samples']
    said = {(it['name'], frozenset(it['labels'].items())): it['value'] for it in samples}
    assert said.keys() == his.keys() and len(said) == len(samples) and all(said[key] == value for key, value in his.items() if 'seconds' not in key[0]), said
    assert not any('amy/idle' in dict(labels).get('daemon', '') or not labels for _, labels in his), his
    assert (_of(his, 'daemon_up', 'david/web'), _of(his, 'daemon_up', 'david/code')) == (1, 0)
    assert _of(his, 'daemon_state', 'david/web', state='running') == 1 and _of(his, 'daemon_state', 'david/code', state='failed') == 1
    assert (_of(his, 'daemon_starts_total', 'david/web'), _of(his, 'daemon_respawns_total', 'david/web')) == (2, 1)
    assert (_of(his, 'daemon_last_exit_code', 'david/code'), _of(his, 'daemon_last_exit_signal', 'david/code')) == (7, 0)
    assert _of(his, 'daemon_last_exit_code', 'david/web') is None and _of(his, 'daemon_last_exit_signal', 'david/web') is None
    assert _of(his, 'daemon_running_seconds_total', 'david/web') >= _of(his, 'daemon_uptime_seconds', 'david/web') >= 0
    one = _parse(w.dmctl('david', 'metrics', 'web').exits(0).out)
    assert {dict(labels)['daemon'] for _, labels in one} == {'david/web'}, one
    assert _of(_parse(w.dmctl('helpdesk', 'metrics').exits(0).out), 'daemon_up', 'david/web') == 1
    alls = _parse(w.dmctl('root', 'metrics').exits(0).out)
    assert alls['daemon_manager_daemons', frozenset()] == 3 and alls['daemon_manager_clients', frozenset()] >= 1, alls
    assert _of(alls, 'daemon_up', 'amy/idle') == 0 and any(name == 'daemon_manager_info' for name, _ in alls)
    w.dmctl('amy', 'metrics', 'david/web').exits(4)
    w.dmctl('eve', 'metrics').exits(4)


def memory_and_cpu(w):
    """metrics has memory and CPU of what runs, of its children too, as status -l has them, for who may see its processes; of what does not
    run there is neither, and a name that the format means something by is escaped there too."""
    with open('/etc/passwd', 'a') as passwd:
        passwd.write('q"uote:x:2101:2101::/home/odd:/bin/sh\n')
    w.conf('david', 'busy', 'dir=/\noutput=discard\nstart=x=$(head -c 20000000 /dev/zero | tr "\\\\0" x); sleep 4305 & while :; do :; done\n')
    w.conf('david', 'idle', 'dir=/\nautostart=no\nstart=sleep 4306\n')
    w.conf('q"uote', 'it', 'dir=/\nstart=sleep 4307\n')
    w.start('[runs_as]\ndavid\nq"uote\n[manages]\nhelpdesk: david\n')
    w.up('david/busy')
    w.up('q"uote/it')
    memory, cpu = 'daemon_memory_bytes', 'daemon_cpu_seconds_total'
    def used():
        his = _parse(w.dmctl('david', 'metrics').exits(0).out)
        assert _of(his, memory, 'david/idle') is None and _of(his, cpu, 'david/idle') is None, his
        return his if _of(his, memory, 'david/busy') > 20e6 and _of(his, cpu, 'david/busy') > 0.3 else None
    his = world.wait_for(used, 'it has used what it uses')
    (row,) = schema.ask(w, 'david', 'status', '-l', 'busy')['daemons']
    assert row['cpu_us'] / 1e6 >= _of(his, cpu, 'david/busy') and row['memory_bytes'] > 20e6, row
    alls = _parse(w.dmctl('root', 'metrics').exits(0).out)
    assert _of(alls, memory, 'q\\"uote/it') > 0 and _of(alls, cpu, 'david/busy') >= _of(his, cpu, 'david/busy'), alls
    assert _of(_parse(w.dmctl('helpdesk', 'metrics', 'busy').exits(0).out), memory, 'david/busy') > 20e6  # /proc is open here
    said = schema.ask(w, 'david', 'metrics', 'busy')['samples']
    assert {it['name'] for it in said} >= {'daemon_manager_' + memory, 'daemon_manager_' + cpu}, said
    quiet = w.dmctl('david', 'metrics', 'idle').exits(0).out
    assert f'# TYPE daemon_manager_{memory} gauge' in quiet and f'daemon_manager_{memory}{{' not in quiet, quiet


def names_are_escaped(w):
    """Names of users that mean something to the format, or are no text at all, are labels that its readers take."""
    odd = {'q"uote': 2101, 'back\\slash': 2102, 'grün': 2103}
    with open('/etc/passwd', 'a') as passwd, open('/etc/group', 'a') as group:
        for name, uid in odd.items():
            passwd.write(f'{name}:x:{uid}:{uid}::/home/odd{uid}:/bin/sh\n')
            group.write(f'odd{uid}:x:{uid}:\n')
    for name in odd:
        w.conf(name, 'it', 'dir=/\nautostart=no\nstart=sleep 4303\n')
    w.start('[runs_as]\n' + ''.join(name + '\n' for name in odd))
    for name in odd:
        w.rescan(name)
    samples = _parse(w.dmctl('root', 'metrics').exits(0).out)
    found = {dict(labels)['daemon'].replace('\\\\', '\\').replace('\\"', '"') for name, labels in samples if name == 'daemon_manager_daemon_up'}
    assert found == {name + '/it' for name in odd}, found


def a_thousand(w):
    """The metrics of a thousand daemons are whole."""
    for number in range(1000):
        w.conf('david', f'd{number}', 'dir=/\nautostart=no\nstart=sleep 4304\n')
    w.start('[runs_as]\ndavid\n[limits]\n*: daemons=1000, book=4M\n')
    world.wait_for(lambda: len(w.rows()) == 1000, 'all are known')
    samples = _parse(w.dmctl('david', 'metrics').exits(0).out)
    assert sum(name == 'daemon_manager_daemon_up' for name, _ in samples) == 1000


def none_without_a_manager(w):
    """Where no manager runs metrics says so on standard error alone: who reads what it prints gets no words among the samples."""
    said = w.dmctl('root', 'metrics').exits(7)
    assert not said.out and said.err.count('the manager is not running') == 1, said


def parser_forgives_nothing(w):
    """The parser of these tests refuses what the format does not allow."""
    good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 1\n'
    _parse(good)
    for bad in (good[:-1], good + 'a_total{x="1"} 2\n', good.replace('"1"', '"1""'), good.replace('"1"', '"\\x"'), good + 'b 1\n', good + good, good.replace(' 1\n', ' one\n')):
        try:
            _parse(bad)
        except AssertionError:
            continue
        raise AssertionError(f'taken: {bad!r}')
