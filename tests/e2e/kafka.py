"""A private Apache Kafka for a test, on free ports and in a folder of its own. Standard library only."""
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/kafka"
# The first start on a machine fetches the jars.
TOOL_S = 600
LOG_BYTES = 8000
# Brokers outlive whoever starts them. This waits for the end of the test's process, however it comes, and cleans up.
GUARD = """exec 3<&0
(cat <&3; if [ -d "$2" ]; then "$1" down --wipe --folder "$2/cluster"; rm -rf "$2"; fi) >/dev/null 2>&1 &"""


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


class Broker:
    """A cluster of one node or three. Use as a context manager; the end of it stops and removes everything.

    nodes:      1 or 3; three replicate every topic to all and need two in sync.
    version:    one that tools/kafka knows; None for its default.
    properties: more lines of the brokers' settings, by name.
    port:       of the first node; 0 for any. The others' and the controllers' follow.
    secure:     clients come in by TLS and SASL, as `tools/kafka --help` tells; cli() comes in as admin.
    bootstrap:  HOST:PORT of every node, separated by commas.

    Nodes count from 1. The jars are fetched once and shared by all, under build/kafka.
    """

    def __init__(self, nodes=1, version=None, properties=None, port=0, secure=False):
        self.flags = ["--port", port, "--nodes", nodes, *(["--version", version] if version else [])]
        for name, value in (properties or {}).items():
            self.flags += ["--property", f"{name}={value}"]
        self.secure = secure
        self.flags += ["--secure"] if secure else []
        self.home = None
        self.guard = None
        self.bootstrap = None

    def run(self, verb, *arguments, check=True, stdin=""):
        """Runs tools/kafka on this cluster; returns the finished process with its output as text."""
        words = [TOOL, verb, "--folder", self.folder, *arguments]
        done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, text=True,
                              timeout=TOOL_S, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"tools/kafka {verb}: exit {done.returncode}: {done.stderr}{self.logs()}")
        return done

    @property
    def folder(self):
        return self.home / "cluster"

    @property
    def secrets(self):
        """The folder of CA, passwords and settings of a secure cluster."""
        return self.folder / "secure"

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cairn-kafka-"))
        self.guard = subprocess.Popen(["sh", "-c", GUARD, "guard", str(TOOL), str(self.home)], stdin=subprocess.PIPE,
                                      start_new_session=True)
        self.guard.wait()
        try:
            self.bootstrap = self.run("up", *self.flags).stdout.strip()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.logs(), file=sys.stderr)
        self.remove()

    def remove(self):
        try:
            self.run("down", "--wipe")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            self.guard.stdin.close()

    def kill(self, *nodes):
        """SIGKILL; returns when the processes are gone."""
        self.run("kill", *(nodes or [1]))

    def pause(self, *nodes):
        """SIGSTOP; returns when they stand still."""
        self.run("pause", *(nodes or [1]))

    def resume(self, *nodes):
        """SIGCONT."""
        self.run("continue", *(nodes or [1]))

    def restart(self, *nodes):
        """Starts nodes again, after a stop where they run; returns when each answers."""
        self.run("restart", *(nodes or [1]))

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

    def logs(self):
        """The ends of the nodes' logs, for messages of failed tests."""
        told = ""
        for path in sorted(self.folder.glob("node-*/broker.log")):
            told += f"\n--- {path.parent.name}\n{path.read_text(errors='replace')[-LOG_BYTES:]}"
        return told
