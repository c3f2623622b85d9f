"""try.py STAGE [--once]: the show of contrib/try, which builds and calls it as root. STAGE is a `meson install` with DESTDIR."""
import os
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP + '/tests/e2e')
import world  # noqa: E402

SHOP = """\
# A FastCGI server of david's own. It ends by itself after three requests, to show what then happens.
dir=/home/david/shop
export PHP_FCGI_MAX_REQUESTS=3
start=php-cgi -q -b shop.socket
"""
WORDPRESS = """\
# The same, but run as the web server's user: root's config allows david that.
dir=/home/david/wordpress
user=www-data
start=exec php-cgi -q -b wordpress.socket
"""
BOT = """\
# What it prints goes to ~/.daemon-manager/logs/bot.log.
dir=/home/david/bot
export GREETING=hello
start=./bot
output=log
"""
BOT_PROGRAM = """\
#!/bin/sh
echo "$GREETING, I am $(id -un), and my pid is $$"
count=0
while sleep 10; do count=$((count + 10)); echo "still here after $count s"; done
"""
PAGE = '<?php echo "a page made by ", posix_getpwuid(posix_geteuid())["name"], "\\n";\n'


class Show:
    """Types commands as one user or another, and shows what they say."""

    def __init__(self, here, paced):
        self.here, self.paced, self.wrong = here, paced, 0

    def pause(self, seconds):
        if self.paced:
            time.sleep(seconds)

    def tell(self, text):
        self.pause(0.8)
        print('\n' + '\n'.join('  ' + line for line in text.strip().splitlines()), flush=True)
        self.pause(1.2)

    def type(self, user, command, expected=(0,), after=1.2):
        """Runs a line of sh as the user in his home; counts it as wrong where it ends otherwise than expected."""
        print(f'{user}{"#" if user == "root" else "$"} {command}', flush=True)
        self.pause(0.4)
        done = self.here.run(user, 'sh', '-c', command, cwd=self.here.home(user))
        print(done.text, end='', flush=True)
        if done.code not in expected:
            self.wrong += 1
            print(f'  !! that ended with exit code {done.code}; {expected[0]} was expected', flush=True)
        self.pause(after)
        return done

    def check(self, good, what):
        if not good:
            self.wrong += 1
            print(f'  !! this was expected: {what}', flush=True)


def prepare(here):
    """Homes and files, as the users themselves would have made them."""
    here.reset()
    os.chmod('/home/david', 0o711)  # www-data must get through it to its folder
    for folder, mode in (('shop', 0o700), ('bot', 0o700), ('wordpress', 0o2770)):
        here.folder('/home/david/' + folder, 'david')
        os.chmod('/home/david/' + folder, mode)
    os.chown('/home/david/wordpress', here.ids('david')['user'], world.EXTRA_GROUPS['web'])
    for site in ('shop', 'wordpress'):
        world.write(f'/home/david/{site}/index.php', PAGE, 0o644, here.ids('david')['user'], here.ids('david')['group'])
    here.script('/home/david/bot/bot', BOT_PROGRAM, 'david')
    for name, text in (('shop', SHOP), ('wordpress', WORDPRESS), ('bot', BOT)):
        here.conf('david', name, text)
    here.conf('amy', 'radio', 'dir=/home/amy\nstart=sleep 1000000\n')


def ask_page(show, site, after=1.2):
    return show.type('www-data' if site == 'wordpress' else 'david',
                     f'SCRIPT_FILENAME=/home/david/{site}/index.php REQUEST_METHOD=GET REDIRECT_STATUS=200 '
                     f'cgi-fcgi -bind -connect /home/david/{site}/{site}.socket | tail -n 1', after=after)


def scenes(show, config):
    here = show.here
    show.tell("This is a world of its own: david, amy, helpdesk and www-data live in it, and nowhere else.\n"
              "Root has written the example of a master config, and started daemon-manager:")
    world.write(world.CONFIG, config)
    show.type('root', "grep -v '^#' /etc/daemon-manager.conf")
    print('root# daemon-manager', flush=True)
    here.start()

    show.tell("david is no root. He has three daemons, one small file each:")
    for name in ('shop', 'wordpress', 'bot'):
        show.type('david', f'cat ~/.daemon-manager/daemons/{name}.conf')
    for name in ('david/shop', 'david/wordpress', 'david/bot', 'amy/radio'):
        here.up(name)
    show.tell("They are up:")
    show.type('david', 'dmctl status')
    show.type('david', 'stat -c "%n is a process of %U" /proc/$(dmctl pid wordpress) /proc/$(dmctl pid bot)')

    show.tell("They are real: a page from each of the two FastCGI servers.")
    world.wait_for(lambda: os.path.exists('/home/david/shop/shop.socket'), 'shop.socket is there')
    world.wait_for(lambda: os.path.exists('/home/david/wordpress/wordpress.socket'), 'wordpress.socket is there')
    for site in ('shop', 'wordpress'):
        said = ask_page(show, site).out
        show.check('a page made by ' + ('www-data' if site == 'wordpress' else 'david') in said, f'a page of {site}')

    show.tell("The shop dies after its third request. Two more:")
    before = here.up('david/shop')
    ask_page(show, 'shop')
    ask_page(show, 'shop', after=0)  # the cooldown that is to be seen lasts a second
    world.wait_for(lambda: not here.alive(before), 'the shop has ended')
    show.type('david', 'dmctl status shop', expected=(3, 0))
    show.tell("It comes back: a second later after its first short run, then after 2, 4 … 60 seconds;\n"
              "at once where it had run for a minute.")
    again = world.wait_for(lambda: here.row('david/shop').pid not in (0, before) and here.up('david/shop'), 'the shop is back')
    show.type('david', 'dmctl status shop')
    show.check(again != before and here.row('david/shop').respawns >= 1, 'a respawn of the shop')

    show.tell("A crash by force: kill -9, as the kernel does when memory is short. `start` does not wait for the cooldown.")
    here.up('david/bot')
    show.type('david', 'kill -9 $(dmctl pid bot); sleep 0.2; dmctl status bot; dmctl start bot && dmctl status bot')

    show.tell("What the bot printed, and what became of it, is in its log:")
    world.wait_for(lambda: 'hello' in here.dmctl('david', 'log', 'bot').out.partition('SIGKILL')[2], 'the bot has printed again')
    show.type('david', 'dmctl log bot')

    show.tell("amy sees her own daemon, and learns nothing of david's:")
    show.type('amy', 'dmctl status')
    show.type('amy', 'dmctl stop david/wordpress', expected=(4,))

    show.tell("helpdesk may look after both, says root's config:")
    show.type('helpdesk', 'dmctl status')
    before = here.up('david/wordpress')
    show.type('helpdesk', 'dmctl restart david/wordpress')
    show.check(here.up('david/wordpress') != before, 'a new process of wordpress')

    show.tell("Root sees who asked for what:")
    show.type('root', "grep -E 'amy|helpdesk' /tmp/manager.log | tail -n 4")


def take_terminal():
    if sys.stdin.isatty():
        old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # who has it not would be stopped for asking
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, old)


def play(here):
    """A shell of david's, then of whoever is asked for."""
    users = ('david', 'helpdesk', 'amy', 'root')
    user = 'david'
    if sys.stdin.isatty():
        os.setpgrp()  # of this pid namespace, so that a shell can give the terminal back to it
    while user:
        take_terminal()
        subprocess.run(['bash', '--norc', '-i'], cwd=here.home(user),
                       env={'PATH': world.PATH, 'HOME': here.home(user), 'USER': user, 'LOGNAME': user, 'SHELL': '/bin/bash',
                            'TERM': os.environ.get('TERM', 'dumb'), 'LANG': 'C.UTF-8', 'PS1': r'\u# ' if user == 'root' else r'\u$ '}, **here.ids(user))
        take_terminal()
        user = '?'
        while user and user not in users:
            print(f'go on as {", ".join(users[:-1])} or {users[-1]}? (Enter ends this world and all that is in it) ', end='', flush=True)
            user = sys.stdin.readline().strip()


def main():
    stage, once = sys.argv[1], '--once' in sys.argv[2:]
    if 'DM_WORLD' not in os.environ:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, world.end_worlds)
        return world.outside([sys.executable, os.path.abspath(__file__), *sys.argv[1:]], stage)
    with open(TOP + '/contrib/daemon-manager.conf.example') as example:
        config = example.read()
    try:
        here = world.enter()
    except world.CannotMakeWorld as why:
        print(world.NO_WORLD.format(why=why))
        return 1
    show = Show(here, not once and sys.stdout.isatty())
    prepare(here)
    try:
        scenes(show, config)
    except Exception as problem:
        print(f'  !! {problem}\n--- the manager\'s log:\n{here.log() if os.path.exists(here.log_file) else ""}')
        return 1
    if not once:
        show.tell("Now you are david. Try: dmctl status, dmctl stop bot, dmctl edit bot, dmctl help.\n"
                  "After `exit` you may go on as helpdesk, who manages david and amy, as amy, or as root, or end this world.")
        play(here)
    code = here.stop()
    def left():  # the last dm-log writes out what it has, and follows
        return [here.command_of(pid) for user in ('david', 'amy', 'www-data') for pid in here.of_user(user)]
    world.wait_for(lambda: not left(), lambda: f'everything has ended with the manager: {left()}')
    show.check(code == 0, f'the manager ends with exit code 0, not {code}')
    print('\n' + (f'{show.wrong} things went wrong.' if show.wrong else 'All of that went as it should.'), flush=True)
    return 1 if show.wrong else 0


if __name__ == '__main__':
    sys.exit(main())
