"""Daemon Manager itself, and the floors below it."""
import peer
import world

FIRST_UID = 3000
CONTROL = '/run/floor.sock'
FLOOR = '/usr/local/bin/floor'


def users_for(count):
    """One in ten daemons brings a user."""
    return max(1, count // 10)


def add_users(users):
    """To the world that is about to be made."""
    for number in range(users):
        world.USERS[f'u{number:04}'] = (FIRST_UID + number, [], f'/home/u{number:04}', '/bin/sh')


class DaemonManager(peer.Peer):
    name, title = 'ours', 'Daemon Manager'
    settle = 61.0  # steady_ms of src/worker/life.hh is 60,000
    notes = ('every daemon runs as a user, ten daemons each; all peers keep root',)

    def prepare(self, world_):
        self.users = self.paths.get('users') or users_for(self.count)
        for number in range(self.count):
            world_.conf(self.owner(number), f'd{number:05}', f'dir=/\nstart={peer.FIRST}\n')
        names = '\n'.join(f'u{number:04}' for number in range(self.users))
        world.write(world.CONFIG, f'[runs_as]\n{names}\n[limits]\n*: daemons=16384, starts=2000, book=16M\n')

    def owner(self, number):
        return f'u{number % self.users:04}'

    def arguments(self):
        return [world.MANAGER]

    def status_one(self, number):
        return [world.DMCTL, 'status', f'{self.owner(number)}/d{number:05}']

    def status_all(self):
        return [world.DMCTL, 'status']

    def restart_one(self, number):
        return [world.DMCTL, 'restart', f'{self.owner(number)}/d{number:05}']


class Floor(peer.Peer):
    name, title = 'floor', 'floor'
    settle = 0.0
    notes = ('floor.c: one process of 150 lines without conf, log or cgroup, all as root',)
    users, program = 0, peer.FIRST

    def arguments(self):
        return [FLOOR, 'serve', str(self.count), self.program, CONTROL, str(self.users)]

    def status_one(self, number):
        return [FLOOR, 'ask', CONTROL, f's{number}']

    def status_all(self):
        return [FLOOR, 'ask', CONTROL, 'a']

    def restart_one(self, number):
        return [FLOOR, 'ask', CONTROL, f'r{number}']


class FloorAsUsers(Floor):
    name, title = 'floor-users', 'floor, as users'
    notes = ('the same with setgroups, setresgid and setresuid behind vfork, which no privileged parent may do: its child could stop it',)

    def prepare(self, world_):
        self.users = users_for(self.count)


class FloorByHelper(FloorAsUsers):
    name, title, program = 'floor-helper', 'floor, by a helper', '/usr/local/bin/pass'
    notes = ('pass.c: as users, and the child first executes a static C program that does nothing but execute the daemon, as dm-run must',)
