"""A network namespace for one node, with a link to the broker that can be cut, and one to clients and other nodes.

Everything stays on this machine. Needs root and iproute2; can_isolate() says what is missing.
"""
import os
import random
import shutil
import subprocess

import kafka
from kafka_load import Member

# Private addresses; the third part is drawn, so that two runs rarely meet.
NETWORK = "10.219"
NOBODY = "02:00:00:00:00:01"  # a link-layer address that no interface here has


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"ip {' '.join(map(str, words))}: {done.stderr}")
    return done


def can_isolate():
    """None, or why there can be no namespace here."""
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"cairn-try-{os.getpid()}"
    made = ip("netns", "add", name, check=False)
    if made.returncode == 0:
        pair = ip("-n", name, "link", "add", "name", "here", "type", "veth", "peer", "name", "there", check=False)
        ip("netns", "del", name)
        made = pair
    return None if made.returncode == 0 else f"no network namespaces here: {made.stderr.strip()}"


class Cell:
    """The namespace. Use as a context manager.

    log, door: what this side is called on the link to the broker, and on that to clients and other nodes.
    inside:    what the node is called on the door's link.
    prefix:    in front of a command line that is to run inside.
    """

    def __init__(self):
        draw = random.SystemRandom().randrange(256)
        self.name = f"cairn-{os.getpid()}"
        self.links = {role: f"cairn{role[0]}{os.getpid() % 10 ** 7}" for role in ("log", "door")}
        self.log, self.door = f"{NETWORK}.{draw}.1", f"{NETWORK}.{draw}.5"
        self.inside = f"{NETWORK}.{draw}.6"
        self.prefix = ["ip", "netns", "exec", self.name]

    def __enter__(self):
        ip("netns", "add", self.name)
        try:
            ip("-n", self.name, "link", "set", "lo", "up")
            for role, here in (("log", self.log), ("door", self.door)):
                self.connect(role, here)
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self, role, here):
        network, _, last = here.rpartition(".")
        ip("link", "add", "name", self.links[role], "type", "veth", "peer", "name", role, "netns", self.name)
        ip("addr", "add", f"{here}/30", "dev", self.links[role])
        ip("link", "set", self.links[role], "up")
        ip("-n", self.name, "addr", "add", f"{network}.{int(last) + 1}/30", "dev", role)
        ip("-n", self.name, "link", "set", role, "up")

    def __exit__(self, *_):
        for link in self.links.values():
            ip("link", "del", link, check=False)
        ip("netns", "del", self.name, check=False)

    def go_silent(self):
        """From now on what the node sends to the broker vanishes; what the broker sends arrives."""
        ip("-n", self.name, "neigh", "replace", self.log, "lladdr", NOBODY, "dev", "log", "nud", "permanent")

    def hear_again(self):
        ip("-n", self.name, "neigh", "del", self.log, "dev", "log")

    def go_down(self):
        """The node has no link to the broker any more, and is told so by its kernel."""
        ip("-n", self.name, "link", "set", "log", "down")

    def come_up(self):
        ip("-n", self.name, "link", "set", "log", "up")


def reachable_broker(cell):
    """A broker with a listener for the cell beside the ordinary one, and where the cell finds it."""
    port = kafka.free_ports(3)
    listeners = (f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1},CELL://{cell.log}:{port + 2}")
    properties = {"listeners": listeners,
                  "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},CELL://{cell.log}:{port + 2}",
                  "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CELL:PLAINTEXT"}
    return kafka.Broker(properties=properties, port=port), f"{cell.log}:{port + 2}"


class Inside(Member):
    """A node in a cell."""

    def __init__(self, cell, bootstrap, folder, name):
        self.host = cell.inside
        super().__init__(bootstrap, folder, name)
        self.arguments = [*cell.prefix, *self.arguments]


class Beside(Member):
    """A node that one in the cell can reach."""

    def __init__(self, cell, bootstrap, folder, name):
        self.host = cell.door
        super().__init__(bootstrap, folder, name)
