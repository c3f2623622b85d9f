"""What this machine is, in a few words, and the programs of Debian that are measured on it."""
import os
import platform
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def _first(path, pattern, otherwise='?'):
    try:
        with open(path) as text:
            found = re.search(pattern, text.read(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else otherwise


def describe():
    gcc = subprocess.run(['gcc', '--version'], capture_output=True, text=True).stdout.splitlines()
    return {
        'cpu': _first('/proc/cpuinfo', r'^model name\s*:\s*(.*)'),
        'cpus': os.cpu_count(),
        'memory_mb': int(_first('/proc/meminfo', r'^MemTotal:\s+(\d+)', '0')) // 1024,
        'system': _first('/etc/os-release', r'^PRETTY_NAME="?([^"\n]*)'),
        'kernel': platform.release().split('-')[0],
        'libc': ' '.join(platform.libc_ver()),
        'compiler': gcc[0] if gcc else '?',
        'load_before': os.getloadavg()[0],
    }


def in_words(machine):
    return (f'{machine["cpus"]} x {machine["cpu"]}, {machine["memory_mb"] / 1024:.0f} GB, {machine["system"]}, Linux {machine["kernel"]}; '
            f'load {machine["load_before"]:.2f} before the run')


def install(packages):
    """Those of these Debian packages that are missing, as tests/run does it: no service is started."""
    if not packages:
        return
    subprocess.run(['sh', '-c', f'. {TOP}/contrib/packages.sh; install_packages "$@"', 'sh', *packages], check=True,
                   stdout=subprocess.DEVNULL)


def version_of(package):
    found = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', package], capture_output=True, text=True).stdout
    return re.sub(r'^\d+:', '', found) or '?'


def has(program):
    return shutil.which(program) is not None
