"""A private Apache Kafka for a test, on free ports and in a folder of its own. Standard library only."""
import random
import re
import socket

from private_server import ROOT, PrivateServer

TOOL = ROOT / "tools/kafka"
# The first start on a machine fetches the jars.
TOOL_S = 600


def free_ports(count):
    """The first of so many ports in a row that are free now, below those that the kernel hands out."""
    while True:
        first = random.SystemRandom().randrange(20000, 32000 - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Broker(PrivateServer):
    """A cluster of one node or three.

    nodes:      1 or 3; three replicate every topic to all and need two in sync.
    version:    one that tools/kafka knows; None for its default.
    properties: more lines of the brokers' settings, by name.
    port:       of the first node; 0 for any. The others' and the controllers' follow.
    secure:     clients come in by TLS and SASL, as `tools/kafka --help` tells; cli() comes in as admin.
    bootstrap:  HOST:PORT of every node, separated by commas.

    Nodes count from 1; kill(), pause(), resume() and restart() mean the first where they are told none. The jars are
    fetched once and shared by all, under build/kafka.
    """

    tool, tool_s, parts = TOOL, TOOL_S, (1,)

    def __init__(self, nodes=1, version=None, properties=None, port=0, secure=False):
        flags = ["--port", port, "--nodes", nodes, *(["--version", version] if version else [])]
        for name, value in (properties or {}).items():
            flags += ["--property", f"{name}={value}"]
        super().__init__(flags + (["--secure"] if secure else []))
        self.secure = secure

    @property
    def bootstrap(self):
        return self.answer

    @property
    def secrets(self):
        """The folder of CA, passwords and settings of a secure cluster."""
        return self.folder / "secure"

    def cli(self, name, *arguments, stdin="", bootstrap=True):
        """Runs one of Kafka's own tools on this cluster; returns what it printed. Few take no --bootstrap-server."""
        where = ["--bootstrap-server", self.bootstrap] if bootstrap else []
        if self.secure:
            where += ["--command-config", self.secrets / "admin.properties"]
        return self.run("cli", name, *where, *arguments, stdin=stdin).stdout

    def create_topic(self, topic, partitions=1, **settings):
        """settings: the topic's, with _ for the dots in their names."""
        flags = [word for name, value in settings.items() for word in ("--config", f"{name.replace('_', '.')}={value}")]
        self.cli("TopicCommand", "--create", "--topic", topic, "--partitions", partitions, *flags)

    def pid(self, node=1):
        """The process of a running node."""
        text = self.run("status", check=False).stdout
        return int(re.search(rf"^node {node}: \w+, pid (\d+)", text, re.M).group(1))

    def log_paths(self):
        return sorted(self.folder.glob("node-*/broker.log"))
