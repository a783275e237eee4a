#!/usr/bin/env python3
"""`cairn topics` on a real Kafka: making, checking, and refusing every setting that would lose or reorder events."""
import json
import re
import shlex
import shutil
import threading
import time
import unittest

import harness
import kafka
from harness import ROOT

BANK = ROOT / "examples/bank"
# A command that says no within the time it gives a broker, and the start of a sanitized binary.
NO_BROKER_S = 60


class Topics(unittest.TestCase):
    """Each test has a domain, and so topics, of its own on one broker."""

    @classmethod
    def setUpClass(cls):
        cls.broker = kafka.Broker().__enter__()
        cls.addClassCleanup(cls.broker.__exit__, None, None, None)

    def setUp(self):
        folder = harness.folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.name = re.sub(r"\W", "", self.id().rsplit(".", 1)[1].removeprefix("test_"))[:60]
        self.domain = self.folder / "domain"
        shutil.copytree(BANK, self.domain)
        described = json.loads((BANK / "domain.json").read_text())
        (self.domain / "domain.json").write_text(json.dumps({**described, "name": self.name}))
        self.events = f"{self.name}.account"
        self.control = f"{self.name}._cairn"

    def topics(self, action, *flags):
        return harness.run("topics", action, self.domain, "--log", f"kafka:{self.broker.bootstrap}", *flags)

    def create(self, *flags):
        done = self.topics("create", *flags)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def refused(self, *words):
        """check tells one fault, create refuses it; both say words. Returns the fault."""
        done = harness.wait_until(lambda: (done := self.topics("check")).returncode != 0 and done, "the broker applies it")
        faults = [line for line in done.stdout.splitlines() if ": FAULT: " in line]
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(len(faults), 1, done.stdout + done.stderr)
        self.assertIn("1 faults", done.stdout)
        made = self.topics("create")
        self.assertEqual(made.returncode, 1, made.stdout)
        self.assertEqual(made.stdout, "")
        for word in words:
            self.assertIn(word, faults[0])
            self.assertIn(word, made.stderr)
        return faults[0]

    def wait_for_no_fault(self):
        """A broker says yes to a setting before it goes by it."""
        harness.wait_until(lambda: self.topics("check").returncode == 0, lambda: self.topics("check").stdout)

    def alter(self, topic, setting):
        self.broker.cli("kafka.admin.ConfigCommand", "--alter", "--topic", topic, "--add-config", setting)

    def description(self):
        """The value of the record `log` of the control topic, from Kafka's own consumer."""
        text = self.broker.cli("ConsoleConsumer", "--topic", self.control, "--from-beginning", "--max-messages", 1,
                               "--timeout-ms", 1000 * harness.PATIENCE_S, "--isolation-level", "read_committed", "--property",
                               "print.key=true")
        key, value = text.splitlines()[0].split("\t", 1)
        self.assertEqual(key, "log")
        return json.loads(value)

    def test_create_makes_topics_once_and_check_passes(self):
        missing = self.topics("check")
        self.assertEqual(missing.returncode, 1)
        self.assertIn(f"{self.events}: FAULT: there is no such topic", missing.stdout)
        first = self.create()
        self.assertEqual(first, f"{self.events}: partitions 4, replication 1\n{self.control}: partitions 1, "
                                f"replication 1\n{self.name}: 2 topics, 0 faults\n")
        before = self.description()
        self.assertEqual(before["domain"], self.name)
        self.assertEqual(before["partitions"], 4)
        self.assertEqual(before["aggregates"], ["account"])
        self.assertEqual(self.create(), first)
        checked = self.topics("check")
        self.assertEqual((checked.returncode, checked.stdout), (0, first))
        self.assertEqual(self.description(), before)
        described = self.broker.cli("TopicCommand", "--describe", "--topic", self.events)
        for setting in ("retention.ms=-1", "cleanup.policy=delete", "min.insync.replicas=1"):
            self.assertIn(setting, described)
        other = self.topics("create", "--partitions", "8")
        self.assertEqual(other.returncode, 1)
        self.assertIn("made with 4 partitions", other.stderr)

    def change_topics(self, **wishes):
        path = self.domain / "domain.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "topics": wishes}))

    def test_topics_are_made_as_the_domain_says_and_flags_win(self):
        self.change_topics(partitions=3, replication=2)
        self.assertIn(f"cannot make the topic {self.control}", self.topics("create").stderr, "there is one broker")
        self.assertIn(f"{self.events}: partitions 3, replication 1\n", self.create("--replication", "1"))
        self.change_topics(partitions=5)
        self.assertIn(f"{self.events}: partitions 3, replication 1\n", self.create(), "a log keeps its partitions")
        self.change_topics(replication=2)
        self.assertIn("replication is 1 and must be at least 2", self.topics("check").stdout)
        self.assertEqual(self.topics("check", "--replication", "1").returncode, 0)

    def test_makers_at_the_same_time_make_one_log(self):
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.topics("create"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for done in found:
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len({done.stdout for done in found}), 1)
        self.assertEqual(self.topics("check").returncode, 0)

    def test_a_new_aggregate_gets_a_topic_and_the_log_learns_of_it(self):
        self.create("--partitions", "2")
        described = json.loads((self.domain / "domain.json").read_text())
        described["aggregates"]["branch"] = {}
        (self.domain / "domain.json").write_text(json.dumps(described))
        (self.domain / "branch.lua").write_text((self.domain / "account.lua").read_text()
                                                .replace('aggregate "account"', 'aggregate "branch"'))
        done = self.topics("check")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"{self.control}: FAULT: the log has not learned", done.stdout)
        self.assertIn(f"{self.name}.branch: partitions 2", self.create())
        self.assertEqual(self.topics("check").returncode, 0)

    def test_compaction_is_refused_and_the_told_command_mends_it(self):
        self.create()
        self.alter(self.events, "cleanup.policy=compact")
        fault = self.refused(self.events, "cleanup.policy is compact", "kafka-configs.sh")
        words = shlex.split(fault.split("kafka-configs.sh ")[1])
        self.assertEqual(words[:2], ["--bootstrap-server", self.broker.bootstrap])
        self.broker.cli("kafka.admin.ConfigCommand", *words[2:])
        self.wait_for_no_fault()

    def test_settings_that_lose_events_are_refused_by_name(self):
        self.create()
        for setting, right in (("retention.ms=1000000", "-1"), ("retention.bytes=1000000", "-1"),
                               ("unclean.leader.election.enable=true", "false"),
                               ("message.timestamp.type=LogAppendTime", "CreateTime"),
                               ("min.insync.replicas=2", "1")):
            with self.subTest(setting):
                name, value = setting.split("=")
                self.alter(self.events, setting)
                self.refused(self.events, f"{name} is {value} and must be {right}")
                self.alter(self.events, f"{name}={right}")
                self.wait_for_no_fault()
        self.alter(self.control, "cleanup.policy=delete")
        self.refused(self.control, "cleanup.policy is delete and must be compact")

    def test_a_grown_partition_count_is_refused(self):
        self.create()
        self.broker.cli("TopicCommand", "--alter", "--topic", self.events, "--partitions", 8)
        self.refused(self.events, "partitions are 8 and must be 4")

    def test_a_topic_that_was_there_before_is_judged_before_anything_is_made(self):
        self.broker.create_topic(self.events, partitions=4, retention_ms=1000000)
        done = self.topics("create")
        self.assertEqual(done.returncode, 1)
        self.assertIn("retention.ms is 1000000 and must be -1", done.stderr)
        self.assertNotIn(self.control, self.broker.cli("TopicCommand", "--list"))

    def test_replication_below_the_setting_is_refused(self):
        self.create()
        for action in ("check", "create"):
            done = self.topics(action, "--replication", "3")
            self.assertEqual(done.returncode, 1)
            self.assertIn("replication is 1 and must be at least 3", done.stdout + done.stderr)

    def test_more_replicas_than_brokers_cannot_be_made(self):
        done = self.topics("create", "--replication", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot make the topic {self.control}", done.stderr)
        self.assertIn("replication", done.stderr.lower())

    def test_deleted_records_are_refused(self):
        self.create()
        self.broker.cli("ConsoleProducer", "--topic", self.events, stdin="one\ntwo\nthree\n")
        offsets = self.folder / "offsets.json"
        offsets.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": self.events, "partition": partition, "offset": -1} for partition in range(4)]}))
        self.broker.cli("DeleteRecordsCommand", "--offset-json-file", offsets)
        self.refused(self.events, "records were deleted")


class WithoutBroker(unittest.TestCase):
    def test_no_broker_is_told_within_seconds(self):
        for action in ("create", "check"):
            start = time.monotonic()
            done = harness.run("topics", action, BANK, "--log", "kafka:127.0.0.1:1")
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertIn("127.0.0.1:1", done.stderr)
            self.assertIn("Connection refused", done.stderr)
            self.assertIn("is Kafka running there?", done.stderr)
            self.assertLess(time.monotonic() - start, NO_BROKER_S)

    def test_wrong_usage_is_exit_2(self):
        for arguments in (["make", BANK, "--log", "kafka:x:1"], ["create", BANK], ["create"]):
            done = harness.run("topics", *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_properties_are_checked_and_secrets_are_not_shown(self):
        for given, told in (("isolation.level=read_uncommitted", "isolation.level cannot be set"),
                            ("sasl.passwort=s3cret", "sasl.passwort"), ("linger.ms=s3cret", "linger.ms"),
                            ("sasl.password=file:/nowhere/at/all", "/nowhere/at/all")):
            done = harness.run("topics", "check", BANK, "--log", "kafka:127.0.0.1:1", "--kafka-property", given)
            self.assertEqual(done.returncode, 1)
            self.assertIn(told, done.stderr)
            self.assertNotIn("s3cret", done.stderr)
        shown = harness.run("config", "--kafka-property", "sasl.password=s3cret", "--kafka-property",
                            "sasl.mechanisms=PLAIN").stdout
        self.assertIn("kafka-property = sasl.password=********", shown)
        self.assertIn("kafka-property = sasl.mechanisms=PLAIN", shown)
        self.assertNotIn("s3cret", shown)


if __name__ == "__main__":
    harness.main()
