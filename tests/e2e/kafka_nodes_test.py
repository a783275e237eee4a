#!/usr/bin/env python3
"""The log on a real Kafka: one node, two nodes, a killed owner, a zombie, a broker that dies; and what a consumer sees.

CAIRN_KAFKA_ROUNDS (default 6) and CAIRN_KAFKA_SEED choose how long the faults go on and which; the seed is printed.
"""
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
import kafka
from harness import ROOT

BANK = ROOT / "examples/bank"
ROUNDS = int(os.environ.get("CAIRN_KAFKA_ROUNDS", "6"))
SEED = int(os.environ.get("CAIRN_KAFKA_SEED", str(random.SystemRandom().randrange(1 << 32))))
ACCOUNTS = 12
CLIENTS = 6


def node(broker, data, verb="serve", flags=()):
    return harness.Node(BANK, data, verb, ("--log", f"kafka:{broker.bootstrap}", *flags))


def settle(nodes, lanes=4, wait_s=30):
    """Waits until every lane has an owner that all nodes agree on, and each node its share."""
    until = time.monotonic() + wait_s
    while True:
        seen = [n.get("/partitions").json["items"] for n in nodes]
        owners = {tuple((p["partition"], p.get("node"), p["state"]) for p in items) for items in seen}
        shares = collections.Counter(p["node"] for p in seen[0] if p["state"] == "owned")
        if len(owners) == 1 and sorted(shares.values()) == [lanes // len(nodes)] * len(nodes):
            return seen[0]
        if time.monotonic() > until:
            raise AssertionError(f"lanes do not settle: {seen}")
        time.sleep(0.02)


def topic(broker, name="bank.account"):
    """Every committed record of a topic as (partition, offset, key, headers)."""
    out = subprocess.run(
        ["kcat", "-C", "-q", "-e", "-b", broker.bootstrap, "-t", name, "-o", "beginning", "-f", "%p\t%o\t%k\t%h\n"],
        capture_output=True, text=True, check=True, errors="replace").stdout
    records = []
    for line in out.splitlines():
        parts = line.split("\t")
        if len(parts) == 4:
            headers = dict(pair.split("=", 1) for pair in parts[3].split(",") if "=" in pair)
            records.append((int(parts[0]), int(parts[1]), parts[2], headers))
    return records


class Client(threading.Thread):
    """Deposits 1 again and again through any node, each with a key, and retries a key until it has an answer."""

    def __init__(self, name, nodes, stop):
        super().__init__()
        self.label, self.nodes, self.stopping = name, nodes, stop
        self.acknowledged, self.slowest_s = [], 0.0

    def run(self):
        rng, n = random.Random(f"{SEED}-{self.label}"), 0
        while not self.stopping.is_set():
            n += 1
            account, key = f"a{rng.randrange(ACCOUNTS)}", f"{self.label}-{n}"
            began = time.monotonic()
            while True:
                version = self.once(rng.choice(self.nodes), account, key)
                if version is not None:
                    self.acknowledged.append((account, key, version))
                    break
                if time.monotonic() - began > 60:
                    raise AssertionError(f"{key} got no answer for a minute")
                time.sleep(0.02)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    @staticmethod
    def once(target, account, key):
        try:
            answer = target.request("POST", f"/commands/account/{account}/Deposit", {"amount": 1},
                                    {"Idempotency-Key": key}, timeout=15)
        except OSError:
            return None
        except Exception as error:  # a half answer of a killed process
            return None if "http.client" in type(error).__module__ else (_ for _ in ()).throw(error)
        if answer.status == 200:
            return answer.json["version"]
        assert answer.status == 503, (answer.status, answer.body)
        return None


class Load:
    def __init__(self, nodes):
        self.stop = threading.Event()
        self.clients = [Client(f"c{i}", nodes, self.stop) for i in range(CLIENTS)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.clients:
            client.join()

    @property
    def acknowledged(self):
        return [one for client in self.clients for one in client.acknowledged]

    @property
    def slowest_s(self):
        return max(client.slowest_s for client in self.clients)


class Kafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)

    def setUp(self):
        self.stack = harness.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.broker = self.stack.enter_context(kafka.Broker())
        self.folder = self.stack.enter_context(harness.folder())

    def open_accounts(self, one):
        for account in range(ACCOUNTS):
            answer = one.command("account", f"a{account}", "Open", {"owner": "x"})
            self.assertEqual(answer.status, 201, answer.body)

    def check_log(self, acknowledged, nodes):
        """A plain consumer's view of the topic against what clients were told."""
        versions, keys = collections.defaultdict(list), collections.Counter()
        found = {}
        for _, _, account, headers in topic(self.broker):
            versions[account].append(int(headers["ce_streamversion"]))
            if "ce_commandkey" in headers:
                keys[headers["ce_commandkey"]] += 1
                found[headers["ce_commandkey"]] = (account, int(headers["ce_streamversion"]))
        for account, seen in versions.items():
            self.assertEqual(seen, list(range(1, len(seen) + 1)), account)
        self.assertEqual([key for key, count in keys.items() if count > 1], [])
        for account, key, version in acknowledged:
            self.assertEqual(found.get(key), (account, version), key)
        for one in nodes:
            for account, seen in versions.items():
                page = one.get(f"/streams/account-{account}?direction=backward&limit=1")
                self.assertEqual(page.json["items"][0]["streamversion"], len(seen))

    def test_one_node_keeps_nothing_but_the_topics(self):
        with node(self.broker, self.folder / "one") as one:
            settle([one])
            self.open_accounts(one)
            first = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual(first.status, 200, first.body)
            again = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual((again.status, again.json), (200, first.json))
            self.assertEqual(again.headers["idempotency-replayed"], "true")
            seen = one.get("/views/balances/a1", Cairn_Position=first.headers["cairn-position"])
            self.assertEqual(seen.json["balance"], 7)
            events = one.get("/events").json["items"]
        shutil.rmtree(self.folder / "one")
        with node(self.broker, self.folder / "one") as one:
            settle([one])
            self.assertEqual(one.get("/events").json["items"], events)
            again = one.command("account", "a1", "Deposit", {"amount": 7}, Idempotency_Key="k")
            self.assertEqual((again.status, again.json), (200, first.json))
            self.assertEqual(one.command("account", "a1", "Withdraw", {"amount": 8}).status, 409)

    def test_two_nodes_share_the_lanes_and_read_each_others_writes(self):
        with node(self.broker, self.folder / "one") as one, node(self.broker, self.folder / "two") as two:
            settle([one, two])
            self.open_accounts(two)
            for account in range(ACCOUNTS):
                for here, there in ((one, two), (two, one)):
                    answer = here.command("account", f"a{account}", "Deposit", {"amount": 1})
                    self.assertEqual(answer.status, 200, answer.body)
                    row = there.get(f"/views/balances/a{account}", Cairn_Position=answer.headers["cairn-position"])
                    self.assertEqual(row.json["balance"], answer.json["version"] - 1)
            batch = [{"aggregate": "account", "id": f"a{i % ACCOUNTS}", "command": "Deposit", "data": {"amount": 1},
                      "key": f"b{i}"} for i in range(200)]
            answers = one.request("POST", "/commands", batch).json
            self.assertEqual({a["status"] for a in answers}, {200})
            self.check_log([(b["id"], b["key"], a["version"]) for a, b in zip(answers, batch)], [])

    def test_owners_die_and_freeze_under_load(self):
        rng = random.Random(SEED)
        nodes = [node(self.broker, self.folder / name).start() for name in ("one", "two")]
        try:
            settle(nodes)
            self.open_accounts(nodes[0])
            with Load(nodes) as load:
                for _ in range(ROUNDS):
                    self.hurt(rng, nodes, load)
            settle(nodes)
            print(f"{len(load.acknowledged)} acknowledged, slowest answer {load.slowest_s:.2f} s")
            self.check_log(load.acknowledged, nodes)
        finally:
            for one in nodes:
                one.__exit__(None)

    def hurt(self, rng, nodes, load):
        before = len(load.acknowledged)
        victim = rng.randrange(len(nodes))
        time.sleep(rng.uniform(0.1, 0.6))
        if rng.random() < 0.5:
            nodes[victim].kill()
            time.sleep(rng.uniform(0.0, 1.5))
            port = nodes[victim].port
            nodes[victim].arguments[nodes[victim].arguments.index("--listen") + 1] = f"127.0.0.1:{port}"
            nodes[victim].start()
        else:
            nodes[victim].process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 2.5))
            nodes[victim].process.send_signal(signal.SIGCONT)
        until = time.monotonic() + 30
        while len(load.acknowledged) <= before + CLIENTS:
            self.assertLess(time.monotonic(), until, "nothing gets through any more")
            time.sleep(0.02)

    def test_the_broker_dies_and_comes_back(self):
        with node(self.broker, self.folder / "one") as one:
            settle([one])
            self.open_accounts(one)
            with Load([one]) as load:
                for how in ("kill", "pause"):
                    before = len(load.acknowledged)
                    time.sleep(0.5)
                    getattr(self.broker, how)(1)
                    time.sleep(1.5)
                    self.assertEqual(one.get("/health/live").status, 200)
                    (self.broker.restart if how == "kill" else self.broker.resume)(1)
                    until = time.monotonic() + 60
                    while len(load.acknowledged) <= before + 50:
                        self.assertLess(time.monotonic(), until, f"nothing gets through after {how}")
                        time.sleep(0.05)
            self.check_log(load.acknowledged, [one])


if __name__ == "__main__":
    harness.main()
