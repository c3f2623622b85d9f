"""Managers with a conf and a table: supervisor and monit of Debian, systemd's for users."""
import os
import re

import peer
import world


class Supervisor(peer.Peer):
    name, title, packages = 'supervisor', 'supervisord', ('supervisor',)
    conf, folder = '/run/supervisord.conf', '/run/supervisor'
    notes = ('startsecs=0, no logs; deaths are answered once a second', 'status and restart are programs in Python')

    def prepare(self, world_):
        os.makedirs(self.folder)
        world.write(self.conf, f"""[unix_http_server]
file={self.folder}/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
loglevel=critical
pidfile={self.folder}/pid
minfds={self.count * 6 + 200}
[supervisorctl]
serverurl=unix://{self.folder}/sock
[program:d]
command={peer.FIRST}
process_name=d%(process_num)05d
numprocs={self.count}
startsecs=0
autorestart=true
stdout_logfile=NONE
stderr_logfile=NONE
""")

    def arguments(self):
        return ['/usr/bin/supervisord', '-c', self.conf]

    def control(self, *words):
        return ['/usr/bin/supervisorctl', '-c', self.conf, *words]

    def status_one(self, number):
        return self.control('status', f'd:d{number:05}')

    def status_all(self):
        return self.control('status')

    def restart_one(self, number):
        return self.control('restart', f'd:d{number:05}')


class Monit(peer.Peer):
    name, title, packages = 'monit', 'monit', ('monit',)
    conf = '/run/monitrc'
    most = (300, 'it starts five a second')
    settle = 2.5
    notes = ('looks at its pid files once a second, the least it takes, and starts one after the other',
             'its children detach themselves: it is the parent of none')

    def prepare(self, world_):
        os.makedirs('/run/pids')
        checks = ''.join(f'check process d{number:05} with pidfile /run/pids/{number}\n'
                         f'  start program = "/usr/local/bin/detach /run/pids/{number} {peer.FIRST}"\n'
                         f'  stop program = "/bin/sh -c \'kill $(cat /run/pids/{number})\'"\n' for number in range(self.count))
        world.write(self.conf, 'set daemon 1\nset log /dev/null\nset idfile /run/monit.id\nset statefile /run/monit.state\n'
                    'set pidfile /run/monit.pid\nset httpd unixsocket /run/monit.sock allow bench:bench\n' + checks, 0o600)

    def arguments(self):
        return ['/usr/bin/monit', '-I', '-c', self.conf]

    def status_one(self, number):
        return ['/usr/bin/monit', '-c', self.conf, 'status', f'd{number:05}']

    def status_all(self):
        return ['/usr/bin/monit', '-c', self.conf, 'summary']

    def restart_one(self, number):
        return ['/usr/bin/monit', '-c', self.conf, 'restart', f'd{number:05}']


class SystemdUser(peer.Peer):
    name, title, given = 'systemd', 'systemd --user', 'systemd'
    notes = ('Type=exec, RestartSec=0, no start limit; as root, with cgroups where the kernel lets it',)
    folder = '/run/user/0'

    def prepare(self, world_):
        units = self.folder + '/systemd/user'
        os.makedirs(units)
        os.makedirs('/run/systemd/system', exist_ok=True)  # without, it does not believe that this is a system of its kind
        os.environ.update(XDG_RUNTIME_DIR=self.folder, SYSTEMD_IGNORE_CHROOT='1')
        world.write(units + '/d@.service', f'[Service]\nType=exec\nExecStart={peer.FIRST}\nRestart=always\nRestartSec=0\n'
                    'StandardOutput=null\nStandardError=null\n[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n')
        wants = ' '.join(f'd@{number:05}.service' for number in range(self.count))
        lines = '\n'.join('Wants=' + some for some in re.findall(r'(?:\S+ ?){1,50}', wants))
        world.write(units + '/bench.target', f'[Unit]\nDefaultDependencies=no\n{lines}\n')

    def environment(self):
        return {**super().environment(), 'XDG_RUNTIME_DIR': self.folder}

    def arguments(self):
        return [self.paths[self.given], '--user', '--unit=bench.target', '--log-target=console', '--log-level=err']

    def control(self, *words):
        return ['/usr/bin/systemctl', '--user', '--no-pager', *words]

    def status_one(self, number):
        return self.control('show', '-p', 'ActiveState,MainPID', f'd@{number:05}.service')

    def status_all(self):
        return self.control('list-units', 'd@*')

    def restart_one(self, number):
        return self.control('restart', f'd@{number:05}.service')
