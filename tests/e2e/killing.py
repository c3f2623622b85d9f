"""Kills one process at the k-th stop of its way through system calls: before a call, or after it and before anything is made of it."""
import ctypes
import json
import os
import platform
import select
import signal
import time

CONT, SYSCALL, SEIZE, INTERRUPT, GET_SYSCALL_INFO = 7, 24, 0x4206, 0x4207, 0x420e
TRACESYSGOOD, ALL, EVENT_STOP = 1, 0x40000000, 128

# The numbers of the calls that tests name.
NAMES = ('clone3', 'waitid', 'recvmsg', 'recvfrom', 'write', 'pwrite64', 'kill')
NUMBERS = {'x86_64': (435, 247, 47, 45, 1, 18, 62), 'aarch64': (435, 95, 212, 207, 64, 68, 129)}
CALLS = dict(zip(NAMES, NUMBERS.get(platform.machine(), ())))

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long] * 4
_libc.ptrace.restype = ctypes.c_long


class _SyscallInfo(ctypes.Structure):
    _fields_ = [('op', ctypes.c_uint8), ('pad', ctypes.c_uint8 * 3), ('arch', ctypes.c_uint32), ('ip', ctypes.c_uint64),
                ('sp', ctypes.c_uint64), ('number', ctypes.c_uint64), ('arguments', ctypes.c_uint64 * 6)]


def _ptrace(request, pid, address=0, data=0):
    if _libc.ptrace(request, pid, address, data) < 0 and request != GET_SYSCALL_INFO:
        raise OSError(ctypes.get_errno(), f'ptrace {request}')


def _trace(pid, moment, ready):
    """Follows it until it is dead; kills it at that moment (see Killer). Returns None, or [number of the call, whether it was entered]."""
    info = _SyscallInfo()
    _ptrace(SEIZE, pid, 0, TRACESYSGOOD)
    _ptrace(INTERRUPT, pid)
    stops, call, made, due = 0, 0, 0, False
    while True:
        _, status = os.waitpid(pid, ALL)
        if not os.WIFSTOPPED(status):
            return None
        number, event, passed = os.WSTOPSIG(status), status >> 16, 0
        if event == EVENT_STOP:
            if ready is not None:
                os.write(ready, b'.')
                ready = None
        elif number == signal.SIGTRAP | 0x80:
            stops += 1
            _ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
            entered = info.op == 1
            call = info.number if entered else call
            if isinstance(moment, int):
                now = stops == moment
            else:
                wanted, nth, when, path = moment
                now = due
                made += call == CALLS[wanted] and entered == (when == 'before')
                due = made == nth
                now = now or (due and when != 'next')
            if now:
                while not (isinstance(moment, int) or path is None or os.path.exists(path)):
                    time.sleep(0.005)
                os.kill(pid, signal.SIGKILL)
                while not (os.WIFSIGNALED(status) or os.WIFEXITED(status)):
                    _, status = os.waitpid(pid, ALL)
                return [call, entered]
        elif event == 0:
            passed = number
        try:
            _ptrace(SYSCALL, pid, 0, passed)
        except ProcessLookupError:
            pass  # killed by another just now


class Killer:
    """A child of ours that follows the process from now on, and kills it at a moment: at its stop number so, each call having one before
    and one after; or (name of a call, nth, 'before', path): when it is about to make this call so often; 'after': when it has made this call so often and nothing has come of it yet, or
    'next': when it is about to make the one that follows. With a path it is held there until that exists."""

    def __init__(self, pid, moment):
        said, says = os.pipe()
        self.answer, tells = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.write(tells, json.dumps(_trace(pid, moment, says)).encode())
            finally:
                os._exit(0)
        os.close(says)
        os.close(tells)
        assert os.read(said, 1) == b'.', f'{pid} cannot be followed'
        os.close(said)

    def end(self):
        """Lets it go, where it was not killed. Returns None then, else [number of the call, whether it was just entered]."""
        ready, _, _ = select.select([self.answer], [], [], 0)
        if not ready:
            os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        said = os.read(self.answer, 1000)
        os.close(self.answer)
        return json.loads(said) if said else None
