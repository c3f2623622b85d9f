"""What bash, zsh and fish complete of a command line of dmctl."""
import os
import shlex
import shutil

import world
from run import Skip
from terminal import Terminal

BASH = '/usr/share/bash-completion/completions/dmctl'
FISH = '/usr/share/fish/vendor_completions.d/dmctl.fish'

# A command line, words that are offered at its end, and words that are not.
LINES = [
    ('dmctl ', ('status', 'restart', 'new', 'edit', 'web', 'david/web', 'all'), ('HUP', 'amy/radio')),
    ('dmctl re', ('restart', 'reload', 'rescan'), ('status', 'web')),
    ('dmctl restart ', ('web', 'cache', 'david/web', 'david/worker:1', 'all'), ('restart', 'HUP')),
    ('dmctl restart w', ('web', 'worker', 'worker:1', 'worker:2'), ('cache', 'all')),
    ('dmctl scale w', ('worker',), ('web', 'worker:1')),
    ('dmctl scale ', ('worker', 'david/worker'), ('all', 'web', 'worker:1', 'david/worker:2')),
    ('dmctl restart david/wo', ('david/worker', 'david/worker:2'), ('worker',)),
    ('dmctl explain ', ('david', 'amy'), ('stop', 'web')),
    ('dmctl explain da', ('david',), ('david/web', 'amy')),
    ('dmctl explain amy re', ('restart', 'reload'), ('web', 'amy')),
    ('dmctl explain amy stop w', ('web',), ('david', 'stop')),
    ('dmctl restart --no-wait web c', ('cache',), ('web',)),
    ('dmctl web re', ('restart', 'reload'), ('web',)),
    ('dmctl web kill H', ('HUP',), ('TERM',)),
    ('dmctl kill ', ('HUP', 'USR1', 'web'), ('start',)),
    ('dmctl kill HUP ', ('web', 'cache'), ('HUP', 'USR1')),
    ('dmctl kill -s US', ('USR1', 'USR2'), ('HUP',)),
    ('dmctl status -u da', ('david',), ('amy',)),
    ('dmctl log --s', ('--since',), ('--sort', '--start', '--signal')),
    ('dmctl web log --', ('--since', '--until', '--grep', '--json', '--no-pager', '--user'), ('--sort', '--with-dependants', '--no-wait', '--yes')),
    ('dmctl log --until 10m we', ('web',), ('cache',)),
    ('dmctl kill --s', ('--signal',), ('--since', '--sort')),
    ('dmctl restart --', ('--no-wait', '--quiet'), ('--json', '--since', '--long')),
    ('dmctl --', ('--json', '--watch', '--since', '--yes'), ()),
    ('dmctl stop --with', ('--with-dependants',), ('--no-wait',)),
    ('dmctl to', ('top',), ('stop',)),
    ('dmctl status --', ('--json', '--watch', '--long', '--sort', '--color', '--interval'), ()),
    ('dmctl status --color ', ('auto', 'always', 'never'), ('web',)),
    ('dmctl top --sort r', ('respawns',), ('memory',)),
    ('dmctl top --interval 1 we', ('web',), ('cache',)),
    ('dmctl log web --form ', ('raw',), ('web',)),
    ('dmctl new x --o', ('--output',), ('--yes',)),
    ('dmctl new x --output l', ('log',), ('discard',)),
    ('dmctl new x --output f', ('file:/',), ('log',)),
    ('dmctl new x --output s', ('syslog',), ('log',)),
    ('dmctl edit ', ('web', 'broken'), ('david/web', 'all')),
    ('dmctl check ', ('web', 'broken', 'site.conf'), ('all',)),
    ('dmctl check sit', ('site.conf',), ('web',)),
    ('dmctl help res', ('restart', 'rescan'), ('web',)),
]


def _three(w):
    for shell in ('bash', 'zsh', 'fish'):
        if not shutil.which(shell):
            raise Skip(f'{shell} is not installed')
    for name in ('web', 'cache'):
        w.conf('david', name, 'dir=/\nstart=sleep 1001\n')
    w.conf('david', 'worker', 'dir=/\nstart=sleep 1001\ninstances=2\n')
    w.conf('david', 'broken', 'dir=/\n')
    w.conf('amy', 'radio', 'dir=/\nstart=sleep 1001\n')
    world.write('/home/david/site.conf', 'dir=/\n', uid=1000, gid=1000)
    w.start()
    w.up('david/web')


def _judge(offers):
    for line, there, not_there in LINES:
        offered = offers(line)
        assert not [word for word in there if word not in offered], f'{line!r}: {there} not all among {offered}'
        assert not [word for word in not_there if word in offered], f'{line!r}: one of {not_there} among {offered}'


def in_bash(w):
    """bash completes verbs, daemons, signals, options, users and files, without bash-completion."""
    _three(w)

    def offers(line):
        script = f'. {BASH}; COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}; _dmctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = w.run('david', 'bash', '--norc', '-c', script, cwd='/home/david').exits(0)
        assert not done.err, done
        return done.out.split()
    _judge(offers)
    # A colon is where bash takes a word to end.
    assert offers('dmctl restart worker:') == ['1', '2']


def in_fish(w):
    """fish completes the same, with what each verb does."""
    _three(w)

    def said(line):
        done = w.run('david', 'fish', '--no-config', '-c', f'source {FISH}; complete -C {shlex.quote(line)}', cwd='/home/david').exits(0)
        assert not done.err, done
        return done.out
    _judge(lambda line: [one.split('\t')[0] for one in said(line).splitlines()])
    assert 'rescan\tread all confs again' in said('dmctl resc')


# What is added is noted as well: what zsh shows of it depends on the terminal.
ZSH = '''
autoload -Uz compinit && compinit -u -D
compadd() {
  local -a noted
  [[ " $* " == *" -"[ODA]" "* ]] || { builtin compadd -O noted "$@"; print -rl -- $noted >>/tmp/offered; }
  builtin compadd "$@"
}
_told() { print DONE >>/tmp/offered; }
comppostfuncs=(_told)
PS1='ready> '
'''


def in_zsh(w):
    """zsh completes the same, at the key itself."""
    _three(w)
    world.write('/home/david/.zshrc', ZSH, uid=1000, gid=1000)
    world.write('/tmp/offered', '', uid=1000, gid=1000)

    def offers(line):
        os.truncate('/tmp/offered', 0)
        t = Terminal(w, 'david', 'zsh', '-i', '--no-globalrcs', cwd='/home/david')
        t.answer('ready> ', line + '\t')

        def offered():
            t.read(0)  # it must be able to write
            with open('/tmp/offered') as noted:
                return noted.read().split()
        words = world.wait_for(lambda: (found := offered())[-1:] == ['DONE'] and found, lambda: f'zsh has completed {line!r}: {t.said!r}')
        t.running.kill()
        t.running.wait()
        os.close(t.ours)
        return words
    _judge(offers)


def at_the_key(w):
    """In bash the key completes the word on the command line itself."""
    _three(w)
    t = Terminal(w, 'david', 'bash', '--norc', '--noprofile', '-i', cwd='/home/david', PS1='ready> ')
    t.answer('ready> ', f'. {BASH}\n').answer('ready> ', 'dmctl list wor\t:2 && echo $?done\n').expect('0done')
    assert 'david/worker:2' in t.said, t.said
    t.type('exit\n').ends(0)


def without_a_manager(w):
    """Without a manager verbs and one's own confs are completed all the same, and nothing is said."""
    for shell in ('bash', 'fish'):
        if not shutil.which(shell):
            raise Skip(f'{shell} is not installed')
    w.conf('david', 'web', 'dir=/\nstart=sleep 1001\n')
    line = 'dmctl edit w'
    bash = f'. {BASH}; COMP_LINE="{line}" COMP_POINT={len(line)}; _dmctl; echo "${{COMPREPLY[@]}}"'
    assert w.run('david', 'bash', '--norc', '-c', bash).exits(0).text == 'web\n'
    assert w.run('david', 'fish', '--no-config', '-c', f'source {FISH}; complete -C "{line}"').exits(0).text == 'web\n'
    told = w.run('david', 'fish', '--no-config', '-c', f'source {FISH}; complete -C "dmctl restart "').exits(0)
    assert told.text == 'all\n', told
