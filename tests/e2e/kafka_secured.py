"""What the tests of a Kafka with TLS, SASL and ACLs share."""
import unittest

import harness
import kafka
import kafka_load
from kafka_load import BANK


def settings_of(broker, user="cairn", **changed):
    """The properties that tools/kafka wrote for a user, as flags; changed: with _ for dots, None leaves one out."""
    lines = (broker.secrets / f"{user}.conf").read_text(encoding="utf-8").splitlines()
    properties = dict(line.removeprefix("kafka-property = ").split("=", 1) for line in lines)
    properties |= {name.replace("_", "."): value for name, value in changed.items()}
    return [word for name, value in properties.items() if value is not None
            for word in ("--kafka-property", f"{name}={value}")]


class Secured(unittest.TestCase):
    """One secure broker of a version for a class."""
    VERSION = None

    @classmethod
    def setUpClass(cls):
        cls.broker = kafka.Broker(version=cls.VERSION, secure=True).__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)
        cls.log = f"kafka:{cls.broker.bootstrap}"

    def setUp(self):
        folder = harness.folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)

    def topics(self, action, flags):
        return harness.run("topics", action, BANK, "--log", self.log, *flags)

    def create_topics(self, flags):
        """As often as a broker on a busy machine takes to answer in time."""
        kafka_load.wait_until(lambda: self.topics("create", flags).returncode == 0,
                              lambda: self.topics("create", flags).stderr)

    def member(self, name, flags, verb="serve"):
        return kafka_load.Member(self.broker.bootstrap, self.folder, name, verb, flags)

    def serve_one_command(self, flags, account):
        with self.member(account, flags) as one:
            kafka_load.settle([one])
            answer = kafka_load.insist(one, account, "Open", {"owner": "Ada"})
            self.assertEqual(answer.status, 201, answer.body)
            row = one.get(f"/views/balances/{account}", Cairn_Position=answer.headers["cairn-position"])
            self.assertEqual(row.json["balance"], 0)
            return one.log_text()
