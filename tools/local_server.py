"""What tools/kafka and tools/postgres share: ports, processes and locks of servers that run on this machine alone."""
import argparse
import contextlib
import fcntl
import os
import pathlib
import random
import socket
import sys
import time

POLL_S = 0.05

# Below the range that the kernel hands to outgoing connections, so that a stopped node finds its port free again.
PICK_FROM, PICK_TO = 20000, 32000
PICKS_MAX = 5


class Failure(Exception):
    """What the user is told; exit status 1."""


class PortTaken(Failure):
    """Another program listens where a node should."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def port_is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pick_ports(count):
    for _ in range(1000):
        first = random.randrange(PICK_FROM, PICK_TO - count)
        if all(map(port_is_free, range(first, first + count))):
            return first
    raise Failure(f"no {count} free ports in a row from {PICK_FROM} to {PICK_TO}")


def process_letter(pid):
    """The state of a process as the kernel names it, or None where there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def is_gone(pid):
    """True when a process has let go of its files and ports, which its last thread does, after its memory."""
    if process_letter(pid) not in ("Z", "X", None):
        return False
    try:
        return len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def wait_until(done, seconds):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


@contextlib.contextmanager
def locked(folder):
    """One at a time on a folder. The lock lies beside it, as the folder itself may go."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def setting(text):
    """An argument NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def port_number(text):
    """An argument that is a port with a few behind it, or 0."""
    port = int(text)
    if not 0 <= port <= 65530:
        raise ValueError
    return port


def run_verb(tool, options):
    """Runs options.action; returns the exit status."""
    try:
        return options.action(options)
    except Failure as failure:
        say(f"{tool}: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
