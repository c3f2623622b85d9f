"""A small server for the tests of sockets, readiness and commands, and clients that count what they meet."""
import contextlib
import socket
import threading

# Answers each connection with its pid. Its words: what it does beside that.
SERVER = r'''#!/usr/bin/python3
import os, signal, socket, sys, time
words = sys.argv[1:]
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.02)
if os.environ.get('LISTEN_FDS'):
    assert int(os.environ['LISTEN_PID']) == os.getpid()
    numbers = list(range(3, 3 + int(os.environ['LISTEN_FDS'])))
else:
    numbers = [0]
listeners = [socket.socket(fileno=number) for number in numbers]
if 'shut' in words:
    wait_for('/tmp/shut')
    listeners[0].shutdown(socket.SHUT_RDWR)
    time.sleep(1000)
if 'late' in words:
    wait_for('/tmp/late')
if 'notify' in words:
    say('READY=1')
import selectors
chosen = selectors.DefaultSelector()
for one in listeners:
    one.setblocking(False)
    chosen.register(one, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        try:
            peer, _ = key.fileobj.accept()
        except BlockingIOError:
            continue
        peer.setblocking(True)
        peer.sendall(b'%d\n' % os.getpid())
        peer.close()
        if 'once' in words:
            sys.exit(0)
'''


def connect(address):
    """A connection to a path or a (host, port)."""
    peer = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    peer.settimeout(30)
    peer.connect(address)
    return peer


def ask(address):
    """The pid of who answers; None where it was cut off."""
    with connect(address) as peer:
        try:
            said = peer.recv(100)
        except ConnectionResetError:
            return None
        return int(said) if said else None


@contextlib.contextmanager
def clients(address, count=4):
    """Clients that ask all the time; what they met is in the dict: answered, cut, refused (a list of errors)."""
    met = {'answered': 0, 'cut': 0, 'refused': []}
    lock, done = threading.Lock(), threading.Event()

    def one():
        while not done.is_set():
            try:
                pid = ask(address)
                with lock:
                    met['answered' if pid else 'cut'] += 1
            except OSError as error:
                with lock:
                    met['refused'].append(repr(error))

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield met
    finally:
        done.set()
        for thread in threads:
            thread.join()
