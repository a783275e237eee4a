"""One address in front of many processes, as a load balancer is. Standard library only."""
import itertools
import socket
import threading

import harness

HEAD_BYTES = 65536


class Address:
    """A listening socket that sends each connection on: POST to one list of processes, the rest to another, in turn.

    Processes are whatever has a port; the lists may change. One that refuses the connection is passed over. Use as a
    context manager, and its request, get and command as those of a node.
    """

    host = "127.0.0.1"
    request, get, command = harness.Node.request, harness.Node.get, harness.Node.command

    def __init__(self, commands, queries):
        self.lists = {True: commands, False: queries}
        self.turns = {True: itertools.count(), False: itertools.count()}
        self.taken = []  # (request line, port of who got it)
        self.lock = threading.Lock()
        self.socket = None

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def __enter__(self):
        self.socket = socket.create_server((self.host, 0), backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
                part = client.recv(HEAD_BYTES)
                if not part:
                    return
                head += part
            there = self.connect(head)
            if there is None:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with there:
                there.sendall(head)
                back = threading.Thread(target=pump, args=(there, client), daemon=True)
                back.start()
                pump(client, there)
                back.join()

    def connect(self, head):
        posts = head.startswith(b"POST ")
        for _ in range(len(self.lists[posts])):
            with self.lock:
                choice = self.lists[posts][next(self.turns[posts]) % len(self.lists[posts])]
            try:
                there = socket.create_connection((self.host, choice.port))
            except OSError:
                continue
            self.taken.append((head.split(b"\r\n", 1)[0].decode(), choice.port))
            return there
        return None


def pump(source, sink):
    """Copies until the source ends or the sink is gone; then says so to both."""
    try:
        while part := source.recv(HEAD_BYTES):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
