"""What processes cost, from outside: memory, CPU, wakeups, the time of a whole command."""
import os
import re
import statistics
import time

TICK = os.sysconf('SC_CLK_TCK')


def summary(samples):
    ordered = sorted(samples)
    return {'median': statistics.median(ordered), 'p99': ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
            'samples': len(ordered)}


def command(argv, path, out='/dev/null'):
    """Microseconds from before the start of a whole process to its reaped end, and its exit code."""
    said = [(os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    environment = {'PATH': path, 'LANG': 'C.UTF-8', 'HOME': '/root'}
    environment.update({name: os.environ[name] for name in ('XDG_RUNTIME_DIR', 'SYSTEMD_IGNORE_CHROOT', 'NITRO_SOCK') if name in os.environ})
    begin = time.monotonic_ns()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=said)
    status = os.waitpid(pid, 0)[1]
    return (time.monotonic_ns() - begin) / 1000, os.waitstatus_to_exitcode(status)


def own_processes(children):
    """All processes of this world but for the children, the first of the namespace and this one."""
    leave = {1, os.getpid(), *children}
    return [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in leave]


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ''


def name_of(pid):
    return _read(f'/proc/{pid}/comm').strip()


def pss(pids):
    """KiB of these processes, by name and together."""
    found = {}
    for pid in pids:
        size = re.search(r'^Pss:\s+(\d+)', _read(f'/proc/{pid}/smaps_rollup'), re.M)
        if size:
            found[name_of(pid)] = found.get(name_of(pid), 0) + int(size.group(1))
    return {'all': sum(found.values()), 'processes': len(pids), 'by_name': found}


def busy(pids):
    """Ticks of CPU and voluntary switches so far, of all of them."""
    ticks = wakes = 0
    for pid in pids:
        stat = _read(f'/proc/{pid}/stat').rsplit(')', 1)
        if len(stat) == 2:
            fields = stat[1].split()
            ticks += int(fields[11]) + int(fields[12])
        switches = re.search(r'^voluntary_ctxt_switches:\s+(\d+)', _read(f'/proc/{pid}/status'), re.M)
        wakes += int(switches.group(1)) if switches else 0
    return ticks, wakes


def cpu_ms(pids):
    return busy(pids)[0] * 1000 / TICK


class KernelMemory:
    """KiB that the kernel holds: charged to this world's memory cgroup, where there is one, and of the whole machine, which counts
    what is charged to nobody too (cgroups themselves), and whatever else happens on it."""

    def __init__(self, group):
        self.group = None
        if group and os.path.exists(group + '/memory.kmem.usage_in_bytes'):
            self.group = lambda: int(_read(group + '/memory.kmem.usage_in_bytes')) // 1024
        elif group and re.search(r'^kernel \d', _read(group + '/memory.stat'), re.M):
            self.group = lambda: int(re.search(r'^kernel (\d+)', _read(group + '/memory.stat'), re.M).group(1)) // 1024

    def read(self):
        text, found = _read('/proc/meminfo'), {}
        if self.group:
            found['kernel_kib'] = self.group()
        found['machine_kib'] = sum(int(re.search(rf'^{name}:\s+(\d+)', text, re.M).group(1))
                                   for name in ('Slab', 'KernelStack', 'PageTables', 'Percpu'))
        return found
