"""What dmctl prints with --json, checked against the schema that is installed with it."""
import json

SCHEMA = '/usr/share/doc/daemon-manager/dmctl.schema.json'


def check(document):
    """That it is as the schema says; returns it."""
    import jsonschema
    with open(SCHEMA) as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    faults = [f'{"/".join(map(str, fault.absolute_path))}: {fault.message}'
              for fault in jsonschema.Draft202012Validator(schema).iter_errors(document)]
    assert not faults, f'{faults} in {document!r}'
    return document


def ask(w, user, *words, code=0, quiet_errors=True):
    """The document that `dmctl WORDS --json` prints, with nothing beside it."""
    answer = w.dmctl(user, *words, '--json').exits(code)
    assert answer.out.count('\n') == 1 and answer.out.endswith('\n'), repr(answer)
    assert not quiet_errors or answer.err == '', repr(answer)
    document = check(json.loads(answer.out))
    assert document['exit'] == code, document
    return document


def lines(w, user, *words, code=0):
    """What a verb prints line by line: its records, and the last document."""
    answer = w.dmctl(user, *words, '--json').exits(code)
    documents = [check(json.loads(line)) for line in answer.out.splitlines()]
    assert documents and documents[-1]['exit'] == code and not any('exit' in one for one in documents[:-1]), repr(answer)
    return documents[:-1], documents[-1]
