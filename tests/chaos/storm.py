"""What happens to the manager and its daemons in the chaos run. One thread kills; others ask, each for users of its own."""
import datetime
import os
import random
import signal
import subprocess
import threading
import time

import world

LONGEST = 60  # seconds that a dmctl may take; none should come near


class Storm:
    """Everything is decided by `seed`; what comes of it is counted in `counts`."""

    def __init__(self, w, users, daemons, counters, config, seed):
        self.w, self.users, self.daemons, self.counters, self.config = w, users, daemons, counters, config
        self.seed = seed
        self.counts, self.faults, self.deeds = {}, [], []
        self.lock = threading.Lock()
        self.ends = threading.Event()
        self.down = set()      # stopped by hand, and told so
        self.unsure = set()    # asked for, and not told how it ended
        self.bare = set()      # users whose FIFOs only their daemons hold: neither monitor nor dm-log is there

    def count(self, what, number=1):
        with self.lock:
            if what != 'asked':
                self.deeds.append((time.time(), what))
            self.counts[what] = self.counts.get(what, 0) + number

    def fault(self, text):
        with self.lock:
            if len(self.faults) < 30:
                self.faults.append(text)
        self.count('faults')

    def around(self, stamp):
        """What was done in the two seconds up to half a second after the time of a log line, as far as it can be read."""
        try:
            at = datetime.datetime.fromisoformat(stamp.rstrip('Z')).replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            return ''
        seen = []  # [when first, what, how often]
        for when, what in sorted(self.deeds):
            if not -2 < when - at < 0.5:
                continue
            if seen and seen[-1][1] == what:
                seen[-1][2] += 1
            else:
                seen.append([when, what, 1])
        return ', '.join(f'{first - at:+.3f} s {number} {what}' for first, what, number in seen)

    # -- processes

    def children(self):
        pid = self.w.manager.pid
        try:
            with open(f'/proc/{pid}/task/{pid}/children') as children:
                return [int(child) for child in children.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def named(self, name):
        return [pid for pid in self.children() if self.w.command_of(pid)[:1] == [name]]

    def kill(self, pid, what):
        try:
            os.kill(pid, signal.SIGKILL)
            self.count(what)
        except ProcessLookupError:
            pass

    # -- the killer

    def kill_daemons(self, dice):
        for _ in range(dice.choice((1, 1, 1, 5, 20))):
            name = dice.choice(self.daemons)
            # What is in the pipe when the last of those who hold it goes is lost; nobody promises more.
            if name.split('/')[0] in self.bare:
                self.wait_served()
                self.bare.clear()
            pid = self.counters[name].pid
            if self.alive(name):
                self.kill(pid, 'daemons killed')

    def kill_loggers(self, dice):
        for pid in self.named('dm-log')[:]:
            if dice.random() < 0.3:
                self.kill(pid, 'dm-logs killed')

    def kill_worker(self, dice):
        for pid in self.named('dm-worker'):
            self.kill(pid, 'workers killed')

    def kill_helpers(self, dice):
        for name in ('dm-scan', 'dm-run', 'dm-listen', 'dm-policy'):
            for pid in self.named(name):
                self.kill(pid, 'helpers killed')

    def logged(self):
        """The users whose dm-logs have the pipes of all their daemons open, as those of whom each user has some."""
        pipes = {}
        for pid in self.w.find('dm-log'):
            uid = self.w.status_of(pid).get('Uid', '').split('\t')[0]
            try:
                links = [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            pipes.setdefault(uid, set()).update(link for link in links if link.startswith(world.RUN_DIR + '/log/') and link[-1].isdigit())
        count = lambda user: sum(name.startswith(user + '/') for name in self.daemons)
        return {user for user in self.users if len(pipes.get(str(self.w.ids(user)['user']), ())) >= count(user)}

    def end_manager(self, dice, number):
        """A pipe is held by its daemon, by the monitor and by dm-log. Any two are killed at once, but not all three."""
        with_loggers, orphans = dice.random() < 0.3, []
        if dice.random() < 0.3:
            self.kill_worker(dice)
        if with_loggers:
            orphans = [pid for pid in self.named('dm-log') if dice.random() < 0.3]
        else:
            # What a daemon has left that is dead just now, dm-log must have.
            try:
                world.wait_for(lambda: len(self.logged()) == len(self.users), 'logged', 10)
            except AssertionError:
                return self.count('monitors spared')
        living = {user for user in self.users if all(self.alive(name) for name in self.daemons if name.startswith(user + '/'))}
        logged = self.logged()
        if with_loggers and living | logged != set(self.users):
            return self.count('monitors spared')
        self.w.manager.send_signal(number)
        try:
            self.w.manager.wait(20)
        except subprocess.TimeoutExpired:
            self.fault('the monitor does not end')
            self.w.manager.kill()
        uids = {str(self.w.ids(user)['user']) for user in living}
        for pid in orphans:
            if self.w.status_of(pid).get('Uid', '').split('\t')[0] in uids:
                self.kill(pid, 'dm-logs killed')
        self.bare |= set(self.users) if with_loggers else set(self.users) - logged
        self.count({signal.SIGKILL: 'monitors killed', signal.SIGUSR1: 'monitors left'}[number])
        time.sleep(dice.choice((0, 0, 0.01, 0.3)))
        self.w.start(ready=False)
        time.sleep(dice.choice((0, 0.005, 0.05, 0.5)))

    def alive(self, name):
        pid = self.counters[name].pid
        return pid and self.w.command_of(pid)[:1] == ['/srv/chatter']

    def kill_monitor(self, dice):
        for _ in range(dice.choice((1, 1, 3))):
            self.end_manager(dice, signal.SIGKILL)

    def leave(self, dice):
        # Before it has set up its signals it simply dies of this one, which is as good.
        self.end_manager(dice, signal.SIGUSR1)

    def upgrade(self, dice):
        self.wait_served()
        done = subprocess.run([world.MANAGER, '--upgrade'], capture_output=True, text=True, timeout=90)
        self.count('upgrades')
        if done.returncode != 0:
            self.fault(f'--upgrade: {done.returncode}: {done.stderr}')

    def reload(self, dice):
        self.wait_served()  # one that has just been started shall not read the nonsense as its first config
        world.write(world.CONFIG, self.config + dice.choice(('', '# again\n', '[manages]\neve: carol\n', '[nonsense]\n')))
        try:
            self.wait_served()
            self.w.manager.send_signal(signal.SIGHUP)
            time.sleep(dice.choice((0, 0.01, 0.2)))
            self.count('reloads')
        finally:
            time.sleep(0.05)  # a monitor that starts meanwhile would refuse the nonsense
            world.write(world.CONFIG, self.config)

    def wait_served(self):
        """A monitor that has come so far as to serve has its signals set up."""
        try:
            world.wait_for(lambda: self.w.dmctl('root', 'version').code == 0, 'the manager serves', 30)
        except AssertionError as problem:
            self.fault(str(problem))

    def havoc(self, until, gentle):
        dice = random.Random(self.seed * 100 + gentle)
        deeds = [self.kill_daemons] * 12 + [self.kill_loggers] * 6 + [self.kill_helpers] * 3
        if not gentle:
            deeds += [self.kill_worker] * 4 + [self.kill_monitor] * 3 + [self.leave, self.upgrade, self.upgrade, self.reload, self.reload]
        while time.monotonic() < until:
            dice.choice(deeds)(dice)
            if self.w.manager.poll() is not None:
                self.fault(f'the monitor ended by itself with {self.w.manager.returncode}:\n{self.w.log()[-2000:]}')
                self.w.start(ready=False)
            time.sleep(dice.expovariate(1 / 0.15))

    # -- those who ask

    def ask(self, user, *arguments):
        try:
            answer = self.w.dmctl(user, *arguments, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            self.fault(f'{user}: dmctl {arguments}: no answer in {LONGEST} s')
            return 1
        self.count('asked')
        again = 'try again' in answer.text
        if again:
            self.count('told to try again')
        elif answer.code == 7:
            self.count('found no manager')
        elif answer.code == 1 and ('ended at once' in answer.text or 'stopped meanwhile' in answer.text):
            self.count('killed while waited for')  # by us
        elif answer.code == 1 and ('could not be read' in answer.text or 'dm-run' in answer.text or 'no process' in answer.text):
            self.count('told of a killed helper')
        elif answer.code not in (0, 3):
            self.fault(repr(answer))
        return answer.code

    def ask_on(self, until, users, number):
        dice = random.Random(self.seed * 100 + 10 + number)
        mine = [name for name in self.daemons if name.split('/')[0] in users]
        while time.monotonic() < until:
            name = dice.choice(mine)
            user = name.split('/')[0]
            deed = dice.choice(('restart', 'restart', 'stop', 'start', 'start', 'rescan', 'status', 'kill', 'new', 'restart all'))
            if deed == 'rescan':
                self.ask(user, 'rescan')
            elif deed == 'status':
                self.ask(dice.choice((user, 'root')), 'status')
            elif deed == 'kill':
                self.ask(user, 'kill', 'KILL', name)
            elif deed == 'new':
                self.w.conf(user, name.split('/')[1], self.conf(name, dice.randrange(1000)))
                # A manager that has just begun may have read it half written: only a reading from now on counts.
                words = ['rescan'] if name in self.down else ['restart', name]
                while (code := self.ask(user, *words)) != 0 and time.monotonic() < until:
                    time.sleep(0.1)
                if name not in self.down:
                    self.settle(name, False, code)
                if code != 0:
                    self.unsure.add(name)
            elif deed == 'restart all':
                code = self.ask(user, 'restart', 'all')
                for other in mine:
                    if other.startswith(user + '/'):
                        self.settle(other, False, code)
            else:
                self.settle(name, deed == 'stop', self.ask(user, deed, name))
            time.sleep(dice.expovariate(1 / 0.1))

    def settle(self, name, down, code):
        """What is known of a wish after a command that ended with this code."""
        with self.lock:
            if code != 0:
                # What was not known before is not known by a command that failed.
                if (name in self.down) != down:
                    self.unsure.add(name)
                return
            self.unsure.discard(name)
            if down:
                self.down.add(name)
            else:
                self.down.discard(name)

    def conf(self, name, salt=0):
        return f'# {salt}\ndir=/\noutput=log\nstop_timeout=2s\nstart=/srv/chatter {self.counters[name].path} {self.pause_ms}\n'

    def blow(self, seconds, gentle=False, askers=3):
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.havoc, args=(until, gentle))]
        threads += [threading.Thread(target=self.ask_on, args=(until, self.users[i::askers], i + 4 * gentle)) for i in range(askers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
