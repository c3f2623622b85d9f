"""One manager's life in a world of its own, measured step by step. A step that it cannot take is a reason instead of a figure."""
import os
import random
import time

import births
import peer
import watch
import world

KILLS_LAST, COMMANDS_LAST = 30.0, 15.0  # seconds: of a slow manager there are fewer samples


class Session:
    def __init__(self, manager, order, here):
        self.manager, self.order, self.here = manager, order, here
        self.figures, self.reasons = {}, {}
        self.births = births.Births()
        self.kernel = watch.KernelMemory(order['group'])
        self.quick = order['quick']

    def wants(self, figure):
        return not self.order['figures'] or figure in self.order['figures']

    def step(self, figure, action):
        if not self.wants(figure):
            return
        try:
            action()
        except (peer.Cannot, births.TooSlow) as why:
            self.reasons[figure] = str(why)

    def run(self):
        """All that was asked for; without a start there is nothing."""
        most, why = self.manager.most
        if self.manager.count > most:
            self.reasons['all'] = why
            return self.said()
        self.manager.prepare(self.here)
        time.sleep(1.2)  # runsvdir waits for the next second where a folder was changed in this one
        before = self.kernel.read()
        begin = time.monotonic_ns()
        process = self.manager.launch()
        try:
            last = self.births.take(self.manager.count, self.order['patience'] or self.manager.patience)
        except births.TooSlow as slow:
            self.reasons['all'] = f'{slow}' + (self.last_words(process.returncode) if process.poll() is not None else '')
            return self.said()
        self.figures['start_ms'] = watch.summary([(last - begin) / 1e6])
        if self.order['start_only']:
            return self.said()
        time.sleep(1.0 if self.quick else 3.0)
        self.memory(before)
        if self.order['memory_only']:
            return self.said()
        self.step('status', self.status)
        self.step('restart', self.restart)
        self.step('idle', self.idle)
        self.step('respawn', self.respawn)
        self.step('crowd', self.crowd)
        return self.said()

    def said(self):
        return {'figures': self.figures, 'reasons': self.reasons}

    @staticmethod
    def last_words(code):
        with open(peer.LOG, errors='replace') as log:
            return f'; it ended with {code}: {log.read()[-300:].strip()}'

    def own(self):
        return watch.own_processes(self.births.alive)

    def memory(self, before):
        self.figures['pss_kib'] = watch.pss(self.own())
        self.figures.update({key: value - before[key] for key, value in self.kernel.read().items()})

    # -- commands

    def timed(self, argv, lines=1):
        """Microseconds of a whole command that succeeds, and has as many lines to say as it must."""
        out = '/tmp/said'
        took, code = watch.command(argv, world.PATH, out)
        with open(out, errors='replace') as said:
            text = said.read()
        if code != 0 or text.count('\n') < lines:
            raise peer.Cannot(f'{os.path.basename(argv[0])} ended with {code}: {text.strip()[-200:]}')
        return took

    def times(self, argv, count, lines=1):
        samples, until = [], time.monotonic() + (1.5 if self.quick else COMMANDS_LAST)
        while len(samples) < count and (len(samples) < 3 or time.monotonic() < until):
            samples.append(self.timed(argv, lines))
        return watch.summary(samples)

    def status(self):
        count = 50 if self.quick else 300
        # nitro's way to ask for one is its exit code
        self.figures['status_one_us'] = self.times(self.manager.status_one(self.manager.count // 2), count, 0)
        self.figures['status_all_us'] = self.times(self.manager.status_all(), max(10, count // 5), self.manager.count)

    def restart(self):
        """Of one after the other: the command itself, and until its daemon's successor began, whichever is later."""
        command, until_born, until = [], [], time.monotonic() + (1 if self.quick else COMMANDS_LAST)
        for number in range(min(self.manager.count, 10 if self.quick else 50)):
            if len(command) >= 3 and time.monotonic() > until:
                break
            begin = time.monotonic_ns()
            command.append(self.timed(self.manager.restart_one(number), 0))
            until_born.append(max(command[-1], (self.births.next()[0] - begin) / 1000))
        self.births.forget_dead()
        self.figures['restart_us'] = watch.summary(command)
        self.figures['restart_born_us'] = watch.summary(until_born)

    # -- nothing, and deaths

    def idle(self):
        time.sleep(0.5 if self.quick else 3.0)  # what commands left behind
        seconds = self.order['idle']
        own = self.own()
        ticks, wakes = watch.busy(own)
        time.sleep(seconds)
        after = watch.busy(own)
        self.figures['idle'] = {'seconds': seconds, 'wakeups': after[1] - wakes, 'cpu_ms': (after[0] - ticks) * 1000 / watch.TICK}

    def respawn(self):
        self.births.wait_settled(self.manager.settle)
        samples, until, moments = [], time.monotonic() + (3 if self.quick else KILLS_LAST), random.Random(1)
        for pid in self.births.settled(self.manager.settle)[:200]:
            begin = time.monotonic_ns()
            self.births.kill(pid)
            samples.append((self.births.next()[0] - begin) / 1000)
            if len(samples) >= 3 and time.monotonic() > until or self.quick and len(samples) * 2 >= self.manager.count:
                break
            # Who polls is asked at any moment of his round, not always at its beginning.
            time.sleep(0.02 if samples[-1] < 100_000 else moments.random())
        self.figures['respawn_us'] = watch.summary(samples)

    def crowd(self):
        """All are killed at once, again where all figures are taken. In a quick run those alone who need not be waited for again."""
        samples, killed = [], 0
        for _ in range(self.order['crowds']):
            if not self.quick or not self.births.settled(self.manager.settle):
                self.births.wait_settled(self.manager.settle)
            victims = self.births.settled(self.manager.settle)
            killed = len(victims)
            begin = time.monotonic_ns()
            for pid in victims:
                self.births.kill(pid)
            samples.append((self.births.take(killed, 60) - begin) / 1e6)
        self.figures['crowd_ms'] = {**watch.summary(samples), 'killed': killed}
