#!/usr/bin/env python3
"""The log on a real Kafka: one node, two nodes, a killed owner, a zombie, a broker that dies; and what a consumer sees.

CAIRN_KAFKA_ROUNDS (default 6) and CAIRN_KAFKA_SEED choose how long the faults go on and which; the seed is printed.
"""
import os
import random
import shutil
import signal
import time
import unittest

import harness
import kafka
from kafka_load import ACCOUNTS, Load, Member, check_log, insist, open_accounts, settle, wait_until

ROUNDS = int(os.environ.get("CAIRN_KAFKA_ROUNDS", "6"))
SEED = int(os.environ.get("CAIRN_KAFKA_SEED", str(random.SystemRandom().randrange(1 << 32))))


class Kafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)

    def setUp(self):
        self.stack = harness.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.broker = self.stack.enter_context(kafka.Broker())
        self.folder = self.stack.enter_context(harness.folder())

    def member(self, name):
        return Member(self.broker.bootstrap, self.folder, name)

    @staticmethod
    def events(one, count):
        """The log as a node shows it, once that are so many: who asks for no position may be shown less."""
        return wait_until(lambda: len(items := one.get("/events").json["items"]) >= count and items, f"{count} events")[0]

    def test_one_node_keeps_nothing_but_the_topics(self):
        with self.member("one") as one:
            settle([one])
            open_accounts(one)
            first = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual(first.status, 200, first.body)
            again = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual((again.status, again.json), (200, first.json))
            self.assertEqual(again.headers["idempotency-replayed"], "true")
            seen = one.get("/views/balances/a1", Cairn_Position=first.headers["cairn-position"])
            self.assertEqual(seen.json["balance"], 7)
            events = self.events(one, ACCOUNTS + 1)
        shutil.rmtree(self.folder / "one")
        with self.member("one") as one:
            settle([one])
            self.assertEqual(self.events(one, len(events)), events)
            again = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual((again.status, again.json), (200, first.json))
            self.assertEqual(one.command("account", "a1", "Withdraw", {"amount": 8}).status, 409)

    def test_two_nodes_share_the_lanes_and_read_each_others_writes(self):
        with self.member("one") as one, self.member("two") as two:
            settle([one, two])
            open_accounts(two)
            for account in range(ACCOUNTS):
                for here, there in ((one, two), (two, one)):
                    answer = insist(here, f"a{account}", "Deposit", {"amount": 1})
                    row = there.get(f"/views/balances/a{account}", Cairn_Position=answer.headers["cairn-position"])
                    self.assertEqual(row.json["balance"], answer.json["version"] - 1)
            batch = [{"aggregate": "account", "id": f"a{i % ACCOUNTS}", "command": "Deposit", "data": {"amount": 1},
                      "key": f"b{i}"} for i in range(200)]
            answers, _ = wait_until(lambda: (told := one.request("POST", "/commands", batch).json) and
                                    {a["status"] for a in told} == {200} and told, "the batch is carried out")
            told = [(b["id"], b["key"], a["version"]) for a, b in zip(answers, batch)]
            check_log(self, self.broker.bootstrap, told, [one, two])

    def test_owners_die_and_freeze_under_load(self):
        rng = random.Random(SEED)
        with self.member("one") as one, self.member("two") as two:
            nodes = [one, two]
            settle(nodes)
            open_accounts(one)
            with Load(nodes, SEED) as load:
                for _ in range(ROUNDS):
                    time.sleep(rng.uniform(0.1, 0.6))
                    self.hurt(rng, rng.choice(nodes))
                    load.go_on()
            settle(nodes)
            print("longest time without an answer: %.2f s of all, %.2f s of one client" % load.silence_s())
            check_log(self, self.broker.bootstrap, load.acknowledged, nodes)

    @staticmethod
    def hurt(rng, victim):
        if rng.random() < 0.5:
            victim.kill()
            time.sleep(rng.uniform(0.0, 1.5))
            victim.start_again()
        else:
            victim.process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 2.5))
            victim.process.send_signal(signal.SIGCONT)

    def test_the_broker_dies_and_comes_back(self):
        with self.member("one") as one:
            settle([one])
            open_accounts(one)
            with Load([one], SEED) as load:
                for how, back in ((self.broker.kill, self.broker.restart), (self.broker.pause, self.broker.resume)):
                    load.go_on()
                    how(1)
                    time.sleep(1.5)
                    self.assertEqual(one.get("/health/live").status, 200)
                    back(1)
                    load.go_on(10)
            check_log(self, self.broker.bootstrap, load.acknowledged, [one])


if __name__ == "__main__":
    harness.main()
