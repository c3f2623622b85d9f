"""Kills parts of the manager, and spoils what they keep, for the tests that are about that."""
import errno
import json
import os
import random
import signal
import struct
import subprocess
import time

import world

STATE = world.RUN_DIR + '/state'
HEADER_SIZE = 80                                   # src/monitor/slots.hh: TableHeader
OWNER_AT, STATE_AT, PID_AT, MEMO_AT, IDENTITY_AT = 8, 28, 36, 96, 288  # in a Slot
MEMO_SIZE = 192


def kill_manager(w):
    """Kills the monitor with -9."""
    os.kill(w.manager.pid, signal.SIGKILL)
    w.manager.wait()


def kill_worker(w):
    """Kills the worker with -9; returns its pid when it is dead."""
    old = w.worker()
    os.kill(old, signal.SIGKILL)
    world.wait_for(lambda: not w.alive(old), 'the worker is dead')
    return old


def pids_of(w, names):
    """The pids of these daemons, when all of them run: asked for at once, for an answer costs something."""
    def running():
        rows = w.rows()
        pids = {name: rows[name].pid for name in names if name in rows and rows[name].state == 'running'}
        return pids if len(pids) == len(set(names)) else None
    return world.wait_for(running, lambda: f'{names} run: {w.rows()}')


class Table:
    """The slot table in the file of a manager that is not running."""

    def __init__(self):
        with open(STATE, 'rb') as file:
            self.bytes = bytearray(file.read())
        self.slot_size, self.slots = struct.unpack_from('=II', self.bytes, 8)

    def at(self, slot):
        return HEADER_SIZE + slot * self.slot_size

    def field(self, slot, offset, form='=I'):
        return struct.unpack_from(form, self.bytes, self.at(slot) + offset)[0]

    def slot_of(self, pid):
        return next(slot for slot in range(self.slots) if self.field(slot, PID_AT) == pid)

    def spoil(self, slot, seed):
        """Random bytes in the place of one slot."""
        self.bytes[self.at(slot):self.at(slot + 1)] = random.Random(seed).randbytes(self.slot_size)

    def put(self, at, data):
        self.bytes[at:at + len(data)] = data

    def save(self):
        with open(STATE, 'r+b') as file:
            file.write(self.bytes)
            file.truncate(len(self.bytes))


def take_pid(w, user, pid, *argv):
    """Starts argv as `user` with just this pid, which must be free; returns the process."""
    for _ in range(200):
        with open('/proc/sys/kernel/ns_last_pid', 'w') as last:
            last.write(str(pid - 1))
        made = w.background(user, *argv)
        if made.pid == pid:
            return made
        made.kill()
        made.wait()
    raise AssertionError(f'pid {pid} could not be used again')


def write_in_place(path, data):
    """New content in the same inode, as soon as nobody executes it."""
    def written():
        try:
            with open(path, 'r+b') as file:
                file.write(data)
                file.truncate()
            return True
        except OSError as problem:
            if problem.errno != errno.ETXTBSY:
                raise
            return False
    world.wait_for(written, f'{path} can be written')


class Asker:
    """`dmctl version`, again and again, in the background; notes each exit code and what was said with it."""

    def __init__(self, user='david'):
        ids = world.World.ids(None, user)
        code = ('import json, subprocess, sys\n'
                'while True:\n'
                f'    done = subprocess.run(["{world.DMCTL}", "version"], capture_output=True, text=True)\n'
                '    print(json.dumps([done.returncode, done.stdout + done.stderr]), flush=True)\n')
        self.path = f'/tmp/asked-{time.monotonic_ns()}'
        self.file = open(self.path, 'w+')
        self.process = subprocess.Popen(['/usr/bin/python3', '-c', code], stdin=subprocess.DEVNULL, stdout=self.file,
                                        start_new_session=True, env={'PATH': world.PATH}, cwd='/', **ids)

    def answers(self):
        with open(self.path) as lines:
            return [json.loads(line) for line in lines.read().splitlines(True) if line.endswith('\n')]

    def wait_more(self, count=3):
        """Waits until so many more have been answered."""
        before = len(self.answers())
        world.wait_for(lambda: len(self.answers()) >= before + count, 'dmctl is answered')

    def end(self):
        self.process.kill()
        self.process.wait()
        return self.answers()


def none_refused(answers):
    """Everyone got an answer, or was told to try again: nobody found no manager, nobody hung."""
    for code, said in answers:
        assert code == 0 or (code == 1 and 'try again' in said), (code, said)
