"""Managers that Debian has not: dinit, nitro and upstream Daemon Manager, where a flag gives the folder of their programs."""
import os

import ours
import peer
import world


class Dinit(peer.Peer):
    name, title, given = 'dinit', 'dinit', 'dinit'
    notes = ('restart-delay = 0, no restart limit, no log',)
    socket = '/run/dinitctl'

    def prepare(self, world_):
        os.makedirs(peer.SERVICES + '/boot.d')
        world.write(peer.SERVICES + '/boot', 'type = internal\nwaits-for.d = boot.d\n')
        for number in range(self.count):
            world.write(f'{peer.SERVICES}/d{number:05}', f'type = process\ncommand = {peer.FIRST}\nrestart = true\nsmooth-recovery = true\n'
                        'restart-delay = 0\nrestart-limit-count = 0\n')
            os.symlink(f'../d{number:05}', f'{peer.SERVICES}/boot.d/d{number:05}')

    def arguments(self):
        return [self.paths['dinit'] + '/dinit', '--services-dir', peer.SERVICES, '--socket-path', self.socket, '--log-file', '/dev/null',
                '--quiet', 'boot']

    def control(self, *words):
        return [self.paths['dinit'] + '/dinitctl', '--socket-path', self.socket, *words]

    def status_one(self, number):
        return self.control('status', f'd{number:05}')

    def status_all(self):
        return self.control('list')

    def restart_one(self, number):
        return self.control('restart', f'd{number:05}')


class Nitro(peer.Peer):
    name, title, given = 'nitro', 'nitro', 'nitro'
    settle = 2.3
    notes = ('its list overruns a buffer of 4 KiB from 110 services on',)

    def prepare(self, world_):
        os.environ['NITRO_SOCK'] = '/run/nitro.sock'
        peer.folder_each(self.count)

    def environment(self):
        return {**super().environment(), 'NITRO_SOCK': '/run/nitro.sock'}

    def arguments(self):
        return [self.paths['nitro'] + '/nitro', peer.SERVICES]

    def control(self, *words):
        return [self.paths['nitro'] + '/nitroctl', *words]

    def status_one(self, number):
        return self.control('check', f'd{number:05}')

    def status_all(self):
        if self.count > 100:
            raise peer.Cannot(self.notes[0])
        return self.control('list')

    def restart_one(self, number):
        return self.control('restart', f'd{number:05}')


class Upstream(ours.DaemonManager):
    name, title, given = 'upstream', 'upstream Daemon Manager', 'upstream'
    settle = 61.0
    notes = ('start= goes through a shell, with exec',)

    def prepare(self, world_):
        super().prepare(world_)
        for number in range(self.count):
            world_.conf(self.owner(number), f'd{number:05}', f'dir=/\nstart=exec {peer.FIRST}\n')
        os.makedirs('/etc/daemon-manager', exist_ok=True)
        names = '\n'.join(f'u{number:04}' for number in range(self.users))
        world.write('/etc/daemon-manager/daemon-manager.conf', f'[can_run_as]\n{names}\n')

    def arguments(self):
        return [self.paths['upstream'] + '/daemon-manager', '--foreground']

    def control(self, *words):
        return [self.paths['upstream'] + '/dmctl', *words]

    def status_one(self, number):
        return self.control('status', f'{self.owner(number)}/d{number:05}')

    def status_all(self):
        return self.control('status')

    def restart_one(self, number):
        return self.control('restart', f'{self.owner(number)}/d{number:05}')
