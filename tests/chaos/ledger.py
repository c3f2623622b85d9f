"""What is left after the storm, counted: numbers in logs, processes, descriptors, memory."""
import os
import re
import struct

LINE = re.compile(rb'^\S+ (?:\S+ )?E(\d+) N(\d+) \.$')
SAID = re.compile(rb'E\d+ N|N\d+ \.')


class Counter:
    """The mapped file of one chatter."""

    def __init__(self, path):
        self.path = path

    def read(self):
        with open(self.path, 'rb') as file:
            return struct.unpack('=QQQQ', file.read(32))

    next = property(lambda self: self.read()[0])
    pid = property(lambda self: self.read()[2])
    overlaps = property(lambda self: self.read()[3])


def log_files(folder, name):
    """The parts of one log, the oldest first."""
    def age(path):
        end = path.rsplit('.', 1)[1]
        return int(end) if end.isdigit() else 0
    paths = [f'{folder}/{entry}' for entry in os.listdir(folder) if re.fullmatch(re.escape(name) + r'\.log(\.\d+)?', entry)]
    return sorted(paths, key=age, reverse=True)


class Tally:
    def __init__(self):
        self.lines = self.missing = self.doubled = self.torn = self.late = 0
        self.examples = []

    def fault(self, kind, count, text, line=b''):
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.examples) < 20:
            self.examples.append((text, line.split(b' E', 1)[0].decode(errors='replace')))

    def add(self, who, folder, name, counter):
        """Goes through one log: each number once, but the first of an epoch, which may be the last of the one before."""
        last, last_epoch = -1, 0
        for path in log_files(folder, name):
            with open(path, 'rb') as file:
                for at, raw in enumerate(file, 1):
                    found = LINE.match(raw.rstrip(b'\n'))
                    if not found:
                        if SAID.search(raw):
                            self.fault('torn', 1, f'{who}: {path}:{at}: {raw!r}')
                        continue
                    epoch, number = int(found[1]), int(found[2])
                    self.lines += 1
                    again = number == last and epoch > last_epoch
                    if number > last + 1:
                        self.fault('missing', number - last - 1, f'{who}: {path}:{at}: N{number} (E{epoch}) after N{last} (E{last_epoch})', raw)
                    elif number <= last and not again:
                        self.fault('doubled', 1, f'{who}: {path}:{at}: N{number} (E{epoch}) after N{last} (E{last_epoch})', raw)
                    last, last_epoch = max(last, number), max(last_epoch, epoch)
        # A chatter that was killed between its last line and the count of it leaves one line more than it counted.
        if last + 1 < counter.next:
            self.fault('missing', counter.next - last - 1, f'{who}: the log ends with N{last}, {counter.next} were written')
        elif last > counter.next:
            self.fault('late', 1, f'{who}: the log ends with N{last}, {counter.next} were written')


def descriptors(pid):
    """Open descriptors, but for pidfds: an adopted daemon has one, its successor none."""
    count = 0
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            count += 'pidfd' not in os.readlink(f'/proc/{pid}/fd/{fd}')
        except FileNotFoundError:
            pass
    return count


def memory(pid):
    """Anonymous memory in KiB."""
    with open(f'/proc/{pid}/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('RssAnon'))
