#!/usr/bin/env python3
"""`cairn migrate` from the embedded log to Kafka and back: killed again and again, ended, refused; nothing changes.

CAIRN_MIGRATE_SEED chooses when it is killed; the seed is printed.
"""
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import unittest

import harness
import kafka
import kafka_load
from harness import ROOT

BANK = ROOT / "examples/bank"
SEED = int(os.environ.get("CAIRN_MIGRATE_SEED", str(random.SystemRandom().randrange(1 << 32))))
ACCOUNTS = 300
DEPOSITS = 8000
KILLS = 3
LANES = 6
SLICE_S, LOOK_S = 0.05, 20


def streams(data, log="files"):
    """Every event of a log as stream -> [CloudEvent], without the place in the log."""
    done = harness.run("events", BANK, "--data", data, "--log", log)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        del event["position"]
        found.setdefault(event["subject"], []).append(event)
    return found


def count_at_most(data, log, limit):
    """How many events a log shows, up to a limit; 0 while there is none, and where who writes it stands still with a lock."""
    try:
        done = harness.run("events", BANK, "--data", data, "--log", log, "--limit", limit, "--log-level", "error",
                           timeout=LOOK_S)
    except subprocess.TimeoutExpired:
        return 0
    return len(done.stdout.splitlines())


def without_place(answer):
    body = dict(answer.json)
    del body["position"]
    return answer.status, body


class Migrate(unittest.TestCase):
    """In the order of names: the log moves to Kafka, stays there, and moves back."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.rng = random.Random(SEED)
        cls.stack = harness.contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.broker = cls.stack.enter_context(kafka.Broker())
        cls.log = f"kafka:{cls.broker.bootstrap}"
        cls.files, cls.replica, cls.back = cls.folder / "files", cls.folder / "replica", cls.folder / "back"
        cls.there = ("--from", f"files:{cls.files}", "--to", cls.log, "--data", cls.replica)
        cls.fill()
        cls.events = streams(cls.files)
        cls.total = sum(len(events) for events in cls.events.values())

    @classmethod
    def fill(cls):
        """A log of several partitions, by batches, and by single commands whose answers are kept by key."""
        commands = [{"aggregate": "account", "id": f"a{i}", "command": "Open", "data": {"owner": f"o{i}"}}
                    for i in range(ACCOUNTS)]
        commands += [{"aggregate": "account", "id": f"a{cls.rng.randrange(ACCOUNTS)}", "command": "Deposit",
                      "data": {"amount": i + 1}, "key": f"batch-{i}"} for i in range(DEPOSITS)]
        path = cls.folder / "commands.ndjson"
        path.write_text("".join(json.dumps(command) + "\n" for command in commands))
        cls.answers = {}
        with harness.Node(BANK, cls.files, flags=("--partitions", "4")) as node:
            done = harness.run("send", path, "--to", node.url)
            assert done.returncode == 0, done.stderr
            for i in range(20):
                answer = node.command("account", f"a{i}", "Deposit", {"amount": i + 1}, Idempotency_Key=f"single-{i}")
                assert answer.status == 200, answer.body
                cls.answers[i] = without_place(answer)

    def migrate(self, *flags):
        done = harness.run("migrate", BANK, *flags)
        return done.returncode, done.stdout, done.stderr

    def check_receipts(self, node):
        """A key sent before the move has the same answer after it; with another body it is refused."""
        for i, expected in self.answers.items():
            again = node.command("account", f"a{i}", "Deposit", {"amount": i + 1}, Idempotency_Key=f"single-{i}")
            self.assertEqual(without_place(again), expected)
            self.assertEqual(again.headers["idempotency-replayed"], "true")
            other = node.command("account", f"a{i}", "Deposit", {"amount": i + 2}, Idempotency_Key=f"single-{i}")
            self.assertEqual((other.status, other.json["type"]), (422, "/problems/key-reused"))

    def cut_off(self, how, data, log, reached, *flags):
        """Ends a migration once the target shows so many events; returns exit status and standard error."""
        process = subprocess.Popen([harness.BINARY, "migrate", BANK, *map(str, flags)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        # It stands still while it is looked at, so that it is not over when the look is.
        while process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            if count_at_most(data, log, reached) >= reached:
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(SLICE_S)
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        error = process.communicate(timeout=300)[1]
        harness.refuse_reports(error)
        return process.returncode, error

    def move_with_kills(self, data, log, *flags):
        """Kills at random moments, runs it to its end, and gives what that run printed."""
        kills = 0
        for reached in sorted(self.rng.sample(range(1, self.total * 3 // 4), KILLS)):
            status, error = self.cut_off(signal.SIGKILL, data, log, reached, *flags)
            self.assertIn(status, (0, -signal.SIGKILL), error)
            kills += status != 0
        status, out, error = self.migrate(*flags)
        self.assertEqual(status, 0, error)
        self.assertIn(f"compared {self.total} events: the same", out)
        moved, there = map(int, re.search(r"moved (\d+) events, (\d+) were there already", out).groups())
        self.assertEqual(moved + there, self.total)
        print(f"{kills} kills; the last run moved {moved} of {self.total}", flush=True)
        return moved, there, error

    def test_1_what_serves_the_source_is_named(self):
        with harness.Node(BANK, self.files) as node:
            status, _, error = self.migrate(*self.there)
            self.assertEqual(status, 1)
            self.assertRegex(error, rf"--from: .*is held by process {node.process.pid}")

    def test_2_kills_and_a_signal_lose_and_double_nothing(self):
        flags = (*self.there, "--partitions", LANES)
        status, error = self.cut_off(signal.SIGTERM, self.replica, self.log, 1, *flags)
        self.assertIn((status, "run the same command again" in error), ((1, True), (0, False)), error)
        print(f"exit {status} on SIGTERM", flush=True)
        _, there, error = self.move_with_kills(self.replica, self.log, *flags)
        self.assertGreater(there, 0)
        self.assertRegex(error, rf"{self.total} events moved in .* s, .*/s")
        self.assertEqual(streams(self.replica, self.log), self.events)
        self.assertFalse((self.replica / "migrate-check").exists())

    def test_3_the_moved_log_serves_the_same_answers(self):
        with harness.Node(BANK, self.replica, flags=("--log", self.log)) as node:
            kafka_load.settle([node], LANES)
            self.check_receipts(node)
            version = len(self.events["account-a7"])
            self.assertEqual(node.get("/streams/account-a7?direction=backward&limit=1").json["items"][0]
                             ["streamversion"], version)

    def test_4_another_number_of_partitions_than_the_topics_have_is_refused(self):
        status, _, error = self.migrate(*self.there, "--partitions", LANES + 1)
        self.assertEqual(status, 1)
        self.assertRegex(error, rf"--to: the log was made with {LANES} partitions")

    def test_5_other_events_are_refused_before_anything_is_written(self):
        strange = self.folder / "strange"
        with harness.Node(BANK, strange) as node:
            self.assertEqual(node.command("account", "a7", "Open", {"owner": "another"}).status, 201)
            self.assertEqual(node.command("account", "new", "Open", {"owner": "new"}).status, 201)
        before = streams(strange)
        for source, target, data in ((self.log, f"files:{strange}", self.replica),
                                     (f"files:{strange}", self.log, self.replica)):
            status, _, error = self.migrate("--from", source, "--to", target, "--data", data)
            self.assertEqual(status, 1)
            self.assertRegex(error, "--to is neither empty nor a copy of --from: version 1 of account-.* differs")
        self.assertEqual(streams(strange), before)
        self.assertEqual(streams(self.replica, self.log), self.events)

    def test_6_back_into_files_of_another_number_of_partitions(self):
        flags = ("--from", self.log, "--to", f"files:{self.back}", "--data", self.replica, "--partitions", 3)
        self.move_with_kills(self.back, "files", *flags)
        self.assertEqual(streams(self.back), self.events)
        verified = harness.run("verify", BANK, "--data", self.back, "--skip-views")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        status, out, error = self.migrate(*flags)
        self.assertEqual(status, 0, error)
        self.assertIn(f"moved 0 events, {self.total} were there already", out)
        with harness.Node(BANK, self.back) as node:
            self.check_receipts(node)

    def test_7_a_source_on_kafka_that_grows_meanwhile_is_not_done(self):
        flags = ("--from", self.log, "--data", self.folder / "late-replica", "--to")
        ended, taken = threading.Event(), []

        def deposit(node, account):
            while not ended.is_set():
                kafka_load.insist(node, account, "Deposit", {"amount": 1})
                taken.append(account)

        with harness.Node(BANK, self.replica, flags=("--log", self.log)) as node:
            kafka_load.settle([node], LANES)
            load = [threading.Thread(target=deposit, args=(node, f"a{i}")) for i in range(8)]
            for client in load:
                client.start()
            try:
                kafka_load.wait_until(lambda: taken, "something gets through")
                error, tries = self.move_until_it_grows(*flags)
            finally:
                ended.set()
                for client in load:
                    client.join()
        self.assertRegex(error, r"run the same command again to go on: --from got \d+ events meanwhile")
        status, out, error = self.migrate(*flags, f"files:{self.folder / f'late-{tries}'}")
        self.assertEqual(status, 0, error)
        self.assertIn(f"compared {self.total + len(taken)} events: the same", out)

    def move_until_it_grows(self, *flags):
        """A short move may see no event come; each is right as of its end."""
        for tries in range(10):
            status, out, error = self.migrate(*flags, f"files:{self.folder / f'late-{tries}'}")
            if status != 0:
                return error, tries
            self.assertIn("events: the same", out)
        self.fail("ten moves beside a writer saw it write nothing")

    def test_8_the_replica_is_read_without_a_broker(self):
        nowhere = ("--data", self.replica, "--log", "kafka:127.0.0.1:1")
        self.broker.kill(1)
        found = streams(self.replica, "kafka:127.0.0.1:1")
        self.assertEqual({stream: events[:len(self.events[stream])] for stream, events in found.items()}, self.events)
        replayed = harness.run("replay", "balances", BANK, *nowhere)
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertIn(f"balances: {ACCOUNTS} rows from {sum(map(len, found.values()))} events", replayed.stdout)
        for verb in (("events",), ("replay", "balances")):
            refused = harness.run(*verb, BANK, "--data", self.replica)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("holds the replica of a Kafka log: open it with --log kafka:HOST:PORT", refused.stderr)


if __name__ == "__main__":
    harness.main()
