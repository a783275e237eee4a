#!/usr/bin/env python3
"""Cairn on a Kafka with TLS, SASL and ACLs: the rights that docs/how-to/run-on-kafka.md lists are enough and each is
needed, who is not let in is told soon and how to mend it, and no secret is shown."""
import re
import subprocess

import harness
import kafka_load
from kafka_load import BANK
from kafka_secured import Secured, settings_of

ROOT = harness.ROOT
PAGE = ROOT / "docs/how-to/run-on-kafka.md"
# Two seconds of patience, and a start of a sanitized binary on a busy machine.
SOON_S = 60
ON_TOPICS = ["--topic", "bank.", "--resource-pattern-type", "prefixed"]
ON_IDS = ["--transactional-id", "cairn.bank.", "--resource-pattern-type", "prefixed"]
ON_GROUP = ["--group", "cairn.bank"]


def rights(heading):
    """The flags of each `kafka-acls.sh --add` below a heading of the how-to."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1].split("\n## ")[0].split("\n### ")[0]
    lines = re.findall(r"^kafka-acls\.sh .*--add (.*)$", section, re.M)
    return [line.split() for line in lines]


class Newer(Secured):
    def start(self, flags):
        """A start that is expected to fail: one line that says why, soon."""
        done = harness.run("serve", BANK, "--data", self.folder / "refused", "--listen", "127.0.0.1:0", "--log", self.log,
                           "--log-level", "error", *flags, timeout=SOON_S)
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (1, "", 1), done.stderr)
        return done.stderr

    def refuses(self, flags, told):
        """A start that tells why; again while the broker goes by what it was told before, or is too busy to answer in time."""
        lines = []

        def start():
            try:
                lines.append(self.start(flags))
            except subprocess.TimeoutExpired:
                lines.append("it started")
            return told in lines[-1] and lines[-1]

        return harness.wait_until(start, lambda: f"{told!r} but {lines[-1]}")

    def acl(self, action, words):
        return self.broker.cli("AclCommand", action, *words)

    def test_each_right_of_the_how_to_is_needed_and_all_are_enough(self):
        flags = settings_of(self.broker)
        self.refuses(flags, "Topic authorization failed; the user lacks a right")
        for heading in ("### A projector", "### A command node", "### Whoever makes the topics"):
            for words in rights(heading):
                self.acl("--add", words)
        harness.wait_until(lambda: "there is no such topic" in self.topics("check", flags).stdout, "the rights to look hold")
        self.create_topics(flags)
        self.take("Create", ON_TOPICS)
        self.serve_one_command(flags, "one")
        self.assertEqual(self.topics("check", flags).returncode, 0)
        self.take_each_away(flags)

    def take(self, operation, where):
        self.acl("--remove", ["--force", "--allow-principal", "User:cairn", "--operation", operation, *where])

    def take_each_away(self, flags):
        for operation, where, told in (("Write", ON_IDS, "fence cairn.bank."),
                                       ("Write", ON_TOPICS, "Failed to acquire idempotence PID")):
            self.take(operation, where)
            with self.member(f"without-{told[:5]}", flags) as one:
                one.wait_for_log(told)
                self.assertEqual({lane["state"] for lane in kafka_load.partitions(one)} & {"owned"}, set())
        with self.member("projector", flags, "projector") as one:
            one.wait_for_log('"ready"')
        for operation, where, told in (("Describe", ON_GROUP, "Group authorization failed"),
                                       ("DescribeConfigs", ON_TOPICS, "settings: "),
                                       ("Read", ON_TOPICS, "the user lacks a right")):
            self.take(operation, where)
            self.refuses(flags, told)

    def test_who_is_not_let_in_is_told_soon_what_to_check(self):
        other = self.folder / "other.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.folder / "other.key", "-out", other, "-subj", "/CN=other"],
                       capture_output=True, check=True)
        for changed, told in (
                ({"sasl_password": "wr0ng"}, "check sasl.mechanisms, sasl.username and sasl.password"),
                ({"sasl_mechanisms": "SCRAM-SHA-512"}, "refuses SCRAM of librdkafka before 2.6.1"),
                ({"ssl_ca_location": other}, "check ssl.ca.location"),
                ({"ssl_ca_location": "/nowhere/ca.pem"}, "is that file there, readable and right?"),
                ({"sasl_password": "file:/nowhere/password"}, "sasl.password: open /nowhere/password: No such file"),
                ({"security_protocol": "SASL_SSLL"}, "security.protocol")):
            with self.subTest(changed):
                self.assertNotIn("wr0ng", self.refuses(settings_of(self.broker, **changed), told))
        plain = self.topics("check", [])
        self.assertEqual(plain.returncode, 1)
        self.assertIn("security.protocol right?", plain.stderr)

    def test_secrets_in_files_work_and_are_shown_nowhere(self):
        password = (self.broker.secrets / "admin.password").read_text(encoding="ascii").strip()
        path = self.folder / "password"
        for end in ("", "\n", "\r\n"):
            path.write_bytes((password + end).encode())
            path.chmod(0o400)
            self.create_topics(settings_of(self.broker, "admin", sasl_password=f"file:{path}"))
            path.unlink()
        for number, value in enumerate((f"file:{self.broker.secrets / 'admin.password'}", password)):
            flags = [*settings_of(self.broker, "admin", sasl_password=value), "--log-level", "debug"]
            shown = harness.run("config", *flags)
            self.assertIn("kafka-property = sasl.password=********", shown.stdout)
            told = shown.stdout + shown.stderr + self.serve_one_command(flags, f"secret{number}")
            self.assertNotIn(password, told)
            kept = subprocess.run(["grep", "-rlF", password, self.folder], capture_output=True, text=True, check=False)
            self.assertEqual(kept.stdout, "")


if __name__ == "__main__":
    harness.main()
