"""The family that watches a folder of folders with a process for each: daemontools, runit, s6."""
import peer

HOME = peer.SERVICES


class Scanner(peer.Peer):
    def prepare(self, world):
        peer.folder_each(self.count)

    def one(self, number):
        return f'{HOME}/d{number:05}'


class Daemontools(Scanner):
    name, title, packages = 'daemontools', 'daemontools', ('daemontools',)
    most = (1000, 'svscan has a fixed table of 1,000 services')
    notes = ('svc -t answers before anything is restarted', 'svscan looks at the folder every 5 s')

    def arguments(self):
        return ['/usr/bin/svscan', HOME]

    def status_one(self, number):
        return ['/usr/bin/svstat', self.one(number)]

    def status_all(self):
        return ['/usr/bin/svstat', *peer.folders(self.count)]

    def restart_one(self, number):
        return ['/usr/bin/svc', '-t', self.one(number)]


class Runit(Scanner):
    name, title, packages = 'runit', 'runit', ('runit',)
    most = (1000, 'runsvdir has a fixed table of 1,000 services')
    notes = ('sv restart asks every 420 ms whether it is done', 'runsvdir looks at the folder every 5 s')

    def arguments(self):
        return ['/usr/bin/runsvdir', HOME]

    def status_one(self, number):
        return ['/usr/bin/sv', 'status', self.one(number)]

    def status_all(self):
        return ['/usr/bin/sv', 'status', *peer.folders(self.count)]

    def restart_one(self, number):
        return ['/usr/bin/sv', 'restart', self.one(number)]


class S6(Scanner):
    name, title, packages = 's6', 's6', ('s6',)
    notes = ('s6-svstat takes one service: all are asked by a loop of the shell', 's6-svc -wR -r waits until it is up again',
             'before each successor s6-supervise of this version waits for a second')

    def arguments(self):
        return ['/usr/bin/s6-svscan', '-c', str(self.count + 10), '-t', '0', HOME]

    def status_one(self, number):
        return ['/usr/bin/s6-svstat', self.one(number)]

    def status_all(self):
        return ['/bin/sh', '-c', f'for it in {HOME}/*; do s6-svstat "$it"; done']

    def restart_one(self, number):
        return ['/usr/bin/s6-svc', '-wR', '-T', '10000', '-r', self.one(number)]
