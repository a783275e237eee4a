"""What `tools/kafka up --secure` adds to a cluster: a CA, the nodes' certificate, users, and who may do what.

Clients come in by TLS and SASL, as one of two users, with PLAIN or SCRAM-SHA-512. `admin` may do all, `cairn` nothing
until an ACL says so. The controllers' listener stays plain: it is for the nodes alone.
"""
import os
import secrets
import socket
import ssl
import struct
import subprocess

ADMIN, NODE = "admin", "cairn"
SCRAM = "SCRAM-SHA-512"
LISTENER = "SASL_SSL"
VALID_DAYS = 3650
MODULE = "org.apache.kafka.common.security"
SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
NAME = b"tools/kafka"
# A broker that has just started makes its first handshakes slowly.
HANDSHAKE_S = 5.0


def write_private(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)


def read_whole(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("closed by the other side")
        data += part
    return data


def ask(connection, key, version, body):
    """Sends one request of Kafka's protocol; returns the answer behind its correlation id; raises OSError."""
    request = struct.pack(f">hhih{len(NAME)}s", key, version, 4, len(NAME), NAME) + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    size, = struct.unpack(">i", read_whole(connection, 4))
    if not 4 <= size < 1 << 20:
        raise OSError("not a Kafka broker")
    return read_whole(connection, size)[4:]


class Security:
    """The secrets of one cluster, in a folder of their own; made once, with it.

    ca.pem:           what clients trust.
    USER.password:    of each user, one line.
    USER.conf:        what Cairn takes by --config to come in as that user.
    admin.properties: what Kafka's own tools take by --command-config.
    """

    def __init__(self, folder):
        self.folder = folder

    def make(self):
        self.folder.mkdir(mode=0o700, parents=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", VALID_DAYS]
        self.openssl("-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA of a Kafka for tests")
        self.openssl("-x509", *key, "-keyout", "node.key", "-out", "node.crt", "-subj", "/CN=localhost", "-CA", "ca.pem",
                     "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        write_private(self.folder / "node.pem", self.read("node.key") + self.read("node.crt"))
        for user in (ADMIN, NODE):
            write_private(self.folder / f"{user}.password", secrets.token_urlsafe(18) + "\n")
            write_private(self.folder / f"{user}.conf", "".join(
                f"kafka-property = {name}={value}\n" for name, value in self.properties(user).items()))
        write_private(self.folder / "admin.properties", "".join(
            f"{name}={value}\n" for name, value in self.tool_properties().items()))

    def openssl(self, *words):
        done = subprocess.run(["openssl", "req", *map(str, words)], cwd=self.folder, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise OSError(f"openssl req: {done.stderr}")

    def read(self, name):
        return (self.folder / name).read_text(encoding="ascii")

    def password(self, user):
        return self.read(f"{user}.password").strip()

    def properties(self, user):
        """What a client of librdkafka needs."""
        return {"security.protocol": LISTENER, "ssl.ca.location": self.folder / "ca.pem", "sasl.mechanisms": "PLAIN",
                "sasl.username": user, "sasl.password": f"file:{self.folder / f'{user}.password'}"}

    def tool_properties(self):
        """What a Java client needs to come in as admin."""
        return {"security.protocol": LISTENER, **self.trust(), "sasl.mechanism": "PLAIN",
                "sasl.jaas.config": f"{MODULE}.plain.PlainLoginModule required {self.login()};"}

    def trust(self):
        return {"ssl.truststore.type": "PEM", "ssl.truststore.location": self.folder / "ca.pem"}

    def login(self):
        return f'username="{ADMIN}" password="{self.password(ADMIN)}"'

    def settings(self):
        """More settings of a node."""
        users = " ".join(f'user_{user}="{self.password(user)}"' for user in (ADMIN, NODE))
        listener = f"listener.name.{LISTENER.lower()}"
        return {
            "sasl.enabled.mechanisms": f"PLAIN,{SCRAM}",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            f"{listener}.plain.sasl.jaas.config":
                f"{MODULE}.plain.PlainLoginModule required {self.login()} {users};",
            f"{listener}.{SCRAM.lower()}.sasl.jaas.config": f"{MODULE}.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.folder / "node.pem",
            **self.trust(),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Nodes meet on the controllers' listener without a name.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }

    def format_flags(self):
        """What lays out a data folder in which the users are known to SCRAM."""
        return [word for user in (ADMIN, NODE)
                for word in ("--add-scram", f"{SCRAM}=[name={user},password={self.password(user)}]")]

    def connect(self, port, timeout_s):
        """Returns a connection of admin to the node at port; raises OSError."""
        plain = socket.create_connection(("127.0.0.1", port), max(timeout_s, HANDSHAKE_S))
        try:
            trusted = ssl.create_default_context(cafile=self.folder / "ca.pem")
            connection = trusted.wrap_socket(plain, server_hostname="localhost")
            for key, version, body in ((SASL_HANDSHAKE, 1, struct.pack(">h5s", 5, b"PLAIN")),
                                       (SASL_AUTHENTICATE, 0, self.token())):
                code, = struct.unpack_from(">h", ask(connection, key, version, body))
                if code != 0:
                    raise OSError(f"not let in: error {code}")
            return connection
        except BaseException:
            plain.close()
            raise

    def token(self):
        token = f"\0{ADMIN}\0{self.password(ADMIN)}".encode()
        return struct.pack(">i", len(token)) + token
