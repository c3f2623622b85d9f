#!/usr/bin/env python3
"""hung_fs.py FOLDER [opens]: mounts a file system there whose server reads every request and never answers: whoever touches it is
stuck in state D until this program ends. With `opens` there is a file FOLDER/file that can be opened; who closes it is stuck. Speaks
the kernel's FUSE protocol on /dev/fuse itself. As root, in a world."""
import contextlib
import ctypes
import os
import struct
import subprocess
import sys

INIT, FORGET, INTERRUPT = 26, 2, 36
LOOKUP, GETATTR, OPEN = 1, 3, 14


class Skip(Exception):
    pass


@contextlib.contextmanager
def hung(folder, *how):
    """Such a file system at `folder`, as long as it lasts."""
    if not os.path.exists('/dev/fuse'):
        raise Skip('there is no /dev/fuse')
    server = subprocess.Popen([sys.executable, os.path.abspath(__file__), folder, *how], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    said = server.stdout.readline()
    try:
        if said != 'mounted\n':
            raise Skip(f'FUSE does not work here: {said}')
        yield
    finally:
        server.kill()
        server.wait()
        subprocess.run(['umount', '-l', folder], capture_output=True)


def attributes(node):
    """Of the folder, node 1, and of the file in it, node 2."""
    mode = 0o40755 if node == 1 else 0o100666
    return struct.pack('=6Q3I5I2I', node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer_to(opcode, node, body):
    """Those that opening a file needs; None for all others."""
    if opcode == LOOKUP and body.rstrip(b'\0') == b'file':
        return struct.pack('=4Q2I', 2, 0, 0, 0, 0, 0) + attributes(2)
    return {GETATTR: struct.pack('=Q2I', 0, 0, 0) + attributes(node), OPEN: struct.pack('=Q2I', 1, 0, 0)}.get(opcode)


def main():
    folder, opens = sys.argv[1], sys.argv[2:] == ['opens']
    device = os.open('/dev/fuse', os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f'fd={device},rootmode=40755,user_id=0,group_id=0,allow_other'
    if libc.mount(b'hung', folder.encode(), b'fuse', 0, options.encode()) != 0:
        print(f'cannot mount: {os.strerror(ctypes.get_errno())}', flush=True)
        return 1
    print('mounted', flush=True)
    asked = False
    while True:
        request = os.read(device, 1 << 20)
        _, opcode, unique, node = struct.unpack_from('=IIQQ', request)
        answer = answer_to(opcode, node, request[40:]) if opens else None
        if opcode == INIT:
            major, minor, readahead, _ = struct.unpack_from('=IIII', request, 40)
            answer = struct.pack('=IIIIHHI', major, min(minor, 22), readahead, 0, 0, 0, 4096)  # the short form of 7.22 and before
        if answer is not None:
            os.write(device, struct.pack('=IiQ', 16 + len(answer), 0, unique) + answer)
        elif opcode not in (FORGET, INTERRUPT) and not asked:
            asked = True
            print('asked', flush=True)


if __name__ == '__main__':
    sys.exit(main())
