"""Hears from each child of first.c when, by CLOCK_MONOTONIC, and as which process it began; knows who lives."""
import os
import signal
import socket
import struct
import time

SOCKET = '/run/first.sock'
QUEUE = '/proc/sys/net/unix/max_dgram_qlen'  # of this network namespace alone


class TooSlow(Exception):
    pass


class Births:
    def __init__(self):
        with open(QUEUE, 'w') as queue:  # so that no child waits for this process: it reads when it is its turn
            queue.write('20000')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.socket.bind(SOCKET)
        os.chmod(SOCKET, 0o666)
        self.alive = {}  # pid: ns

    def next(self, seconds=30.0):
        self.socket.settimeout(max(seconds, 0.001))
        try:
            first, second, pid = struct.unpack('qqq', self.socket.recv(64))
        except TimeoutError:
            raise TooSlow('no child began') from None
        born = first * 1_000_000_000 + second
        self.alive[pid] = born
        return born, pid

    def take(self, count, seconds):
        """When the last of so many began."""
        until, last = time.monotonic() + seconds, 0
        for had in range(count):
            try:
                last = max(last, self.next(until - time.monotonic())[0])
            except TooSlow:
                raise TooSlow(f'{had:,} of {count:,} began within {seconds:g} s') from None
        return last

    def kill(self, pid):
        del self.alive[pid]
        os.kill(pid, signal.SIGKILL)

    def settled(self, seconds):
        """Pids of those who have lived so long."""
        before = time.monotonic_ns() - seconds * 1e9
        return [pid for pid, born in self.alive.items() if born < before]

    def wait_settled(self, seconds):
        left = max(self.alive.values()) / 1e9 + seconds - time.monotonic()
        if left > 0:
            time.sleep(left)

    def forget_dead(self):
        """Those who were ended by a command."""
        for pid in list(self.alive):
            if not os.path.exists(f'/proc/{pid}'):
                del self.alive[pid]
