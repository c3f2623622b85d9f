"""dmctl explain: who may do what to a daemon, as whom it may run, and the lines of the master config that say so."""
import schema

CONFIG = """\
[runs_as]
david: www-data     # for his web sites
amy
@staff: nobody
bob
[manages]
helpdesk: david
amy: bob, david
"""


def _people(w):
    w.conf('david', 'site', 'dir=/\nuser=www-data\nstart=sleep 4201\n')
    w.conf('david', 'web', 'dir=/\nstart=sleep 4202\n')
    w.conf('amy', 'bot', 'dir=/\nuser=nobody\nautostart=no\nstart=sleep 4203\n')
    w.conf('bob', 'bad', 'dir=/\nuser=www-data\nstart=sleep 4204\n')
    w.start(CONFIG)
    w.up('david/site')
    w.up('david/web')


def by_which_line(w):
    """explain names the line of [manages] or [runs_as] by which somebody may, as it is written there, and what is missing where he may
    not; the exit code tells which."""
    _people(w)
    conf = '/etc/daemon-manager.conf'
    for words, code, lines in (
            (('helpdesk', 'stop', 'david/web'), 0, [f'yes: helpdesk may stop david/web, for he manages the daemons of david: {conf}:7: helpdesk: david']),
            (('amy', 'start', 'david/site'), 0, [f'yes: amy may start david/site, for he manages the daemons of david: {conf}:8: amy: bob, david',
                                                 f'yes: david may run david/site as www-data: {conf}:2: david: www-data']),
            (('david', 'restart', 'david/web'), 0, [f'yes: david may restart david/web, for it is his own: {conf}:2: david: www-data',
                                                    f'yes: david may run david/web as himself: {conf}:2: david: www-data']),
            (('amy', 'start', 'amy/bot'), 0, [f'yes: amy may start amy/bot, for it is his own: {conf}:3: amy',
                                              f'yes: amy may run amy/bot as nobody: {conf}:4: @staff: nobody']),
            (('root', 'kill', 'david/web'), 0, ['yes: root may kill david/web, as all others']),
            (('root', 'start', 'bob/bad'), 4, ['yes: root may start bob/bad, as all others',
                                               f'no: bob may not run bob/bad as www-data: no line says so. Root can allow it by "bob: www-data" under [runs_as] in {conf}']),
            (('bob', 'stop', 'david/web'), 4, [f'no: bob may not stop david/web: no line says so. Root can allow it by "bob: david" under [manages] in {conf}']),
            (('eve', 'stop', 'david/web'), 4, [f'no: eve may not stop david/web: eve is not listed in {conf}; "eve: david" under [manages] allows it']),
            (('helpdesk', 'disable', 'david/web'), 4, ["no: helpdesk may not disable david/web: that is done with one's own rights, on the files of david"])):
        assert w.dmctl('root', 'explain', *words).exits(code).out.splitlines() == lines, w.dmctl('root', 'explain', *words)
    # What it says is so.
    w.dmctl('helpdesk', 'stop', 'david/web').exits(0)
    w.dmctl('bob', 'stop', 'david/web').exits(4)
    w.dmctl('root', 'start', 'bob/bad').exits(1)
    w.dmctl('amy', 'start', 'bot').exits(0)


def who_may_ask(w):
    """A user may ask of himself, and of others only about his own daemons; what does not exist looks as what he may not know of."""
    _people(w)
    w.dmctl('helpdesk', 'explain', 'helpdesk', 'signal', 'david/web').exits(0).says('helpdesk may kill david/web')
    w.dmctl('david', 'explain', 'helpdesk', 'stop', 'web').exits(0).says('he manages the daemons of david')
    w.dmctl('david', 'explain', 'bob', 'stop', 'web').exits(4).says('no: bob may not stop david/web')
    w.dmctl('david', 'explain', 'bob', 'status', 'web').exits(4).says('no: bob may not use status on david/web')
    w.dmctl('helpdesk', 'explain', 'amy', 'stop', 'david/web').exits(4).says('you may ask this of yourself')
    answers = set()
    for user in ('bob', 'david', 'eve'):
        for name in ('david/web', 'david/none', 'nosuchuser/web', 'amy/bot'):
            answer = w.dmctl('bob', 'explain', user, 'stop', name).exits(4)
            answers.add(answer.text.replace(name, 'ID').replace(name.split('/')[0], 'OWNER'))
    assert len(answers) == 1, answers
    w.dmctl('eve', 'explain', 'eve', 'stop', 'david/web').exits(4).says('not listed')
    w.dmctl('david', 'explain', 'david', 'stop', 'wbe').exits(5).says("did you mean 'web'?")


def as_root(w):
    """Nobody is told to ask for a line that lets him run daemons as root, for no master config may say so."""
    w.conf('david', 'high', 'dir=/\nuser=root\nstart=sleep 4205\n')
    _people(w)
    for words, code in ((('status', 'high'), 3), (('start', 'high'), 1), (('rescan',), 1), (('explain', 'david', 'start', 'high'), 4), (('check', 'high'), 0)):
        answer = w.dmctl('david', *words).exits(code).says('nobody may run daemons as root')
        assert 'david: root' not in answer.text, answer


def checked_users(w):
    """check warns of a user= that nobody has or root does not allow; of what is allowed only a manager tells."""
    _people(w)
    path = w.conf('david', 'odd', 'dir=/\nstart=sleep 4206\nuser=nosuchuser\n')
    w.dmctl('david', 'check', 'odd').exits(0).says(f'{path}:3:6: warning: found user=nosuchuser, and there is no such user')
    path = w.conf('bob', 'odd', 'dir=/\nstart=sleep 4206\nuser=www-data\n')
    w.dmctl('bob', 'check', 'odd').exits(0).says(f'{path}:3:6: warning: found user=www-data, and bob may not run daemons as www-data', '"bob: www-data" under [runs_as]')
    assert w.dmctl('david', 'check', 'site').exits(0).text == 'site: ok\n'
    w.stop()
    assert w.dmctl('bob', 'check', 'odd').exits(0).text == 'odd: ok\n'


def wrong_words(w):
    """explain with too few words, or of no verb, is a usage error with the nearest verb; JSON has each reason's parts."""
    _people(w)
    w.dmctl('david', 'explain', 'david', 'stop').exits(2).says('explain needs a user, a verb and a daemon')
    w.dmctl('david', 'explain', 'david', 'strat', 'web').exits(2).says("did you mean 'start'?")
    w.dmctl('david', 'explain', 'nosuchuser', 'start', 'web').exits(2).says("there is no user 'nosuchuser'")
    reasons = schema.ask(w, 'root', 'explain', 'amy', 'start', 'david/site')['reasons']
    assert [(it['right'], it['allowed'], it['file'], it['line'], it['rule']) for it in reasons] == [
        ('manages', True, '/etc/daemon-manager.conf', 8, 'amy: bob, david'), ('runs_as', True, '/etc/daemon-manager.conf', 2, 'david: www-data')], reasons
    refused = schema.ask(w, 'root', 'explain', 'bob', 'stop', 'david/web', code=4)['reasons']
    assert [(it['allowed'], it['line']) for it in refused] == [(False, None)], refused
