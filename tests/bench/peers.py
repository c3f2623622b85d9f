"""All that can be measured, in the order in which tables show them."""
import given
import heavies
import machine
import ours
import scanners

ALL = (ours.DaemonManager, ours.Floor, ours.FloorAsUsers, ours.FloorByHelper, scanners.Daemontools, scanners.Runit, scanners.S6,
       given.Dinit, given.Nitro, given.Upstream, heavies.SystemdUser, heavies.Supervisor, heavies.Monit)
BY_NAME = {each.name: each for each in ALL}


def chosen(only, paths):
    """Of these names, or of all, those whose programs there are or can be installed."""
    return [each for each in ALL if (not only or each.name in only) and (not each.given or paths.get(each.given))]


def version(each):
    return machine.version_of(each.packages[0]) if each.packages else ''
