#!/usr/bin/env python3
"""kill -9 under load, round after round: nothing acknowledged is lost, nothing is doubled, versions stay dense.

CAIRN_CRASH_ROUNDS (default 100) and CAIRN_CRASH_SEED choose how long and which; the seed is printed.
"""
import http.client
import json
import os
import random
import threading
import unittest

import harness
from harness import ROOT

BANK = ROOT / "examples/bank"
ROUNDS = int(os.environ.get("CAIRN_CRASH_ROUNDS", "100"))
SEED = int(os.environ.get("CAIRN_CRASH_SEED", str(random.SystemRandom().randrange(1 << 32))))
CLIENTS = 8
ACCOUNTS = 5


class Client(threading.Thread):
    """Deposits 1 again and again, each with a key of its own, until the service is gone."""

    def __init__(self, port, name, acknowledged, unknown):
        super().__init__()
        self.port, self.label, self.acknowledged, self.unknown = port, name, acknowledged, unknown

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.PATIENCE_S)
        n = 0
        while True:
            n += 1
            account, key = f"a{n % ACCOUNTS}", f"{self.label}-{n}"
            headers = {"Content-Type": "application/json", "Idempotency-Key": key}
            try:
                connection.request("POST", f"/commands/account/{account}/Deposit", '{"amount":1}', headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                self.unknown.append((account, key))
                return
            if answer.status == 200:
                self.acknowledged.append((account, key, json.loads(body)["version"]))
            else:
                self.unknown.append((account, key))


class Crash(unittest.TestCase):
    def test_a_hundred_kills_lose_and_double_nothing(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        rng = random.Random(SEED)
        acknowledged, unknown = [], []
        with harness.folder() as data:
            with harness.Node(BANK, data) as node:
                for account in range(ACCOUNTS):
                    self.assertEqual(node.command("account", f"a{account}", "Open", {"owner": "x"}).status, 201)
            for round_number in range(ROUNDS):
                self.one_round(data, round_number, rng, acknowledged, unknown)
            self.check(data, acknowledged, unknown)
            verified = harness.run("verify", BANK, "--data", data)
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        print(f"{len(acknowledged)} acknowledged, {len(unknown)} of unknown outcome")

    def one_round(self, data, number, rng, acknowledged, unknown):
        node = harness.Node(BANK, data).start()
        before = len(acknowledged)
        clients = [Client(node.port, f"{number}-{i}", acknowledged, unknown) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        wanted = before + rng.randrange(1, 400)
        while len(acknowledged) < wanted and any(client.is_alive() for client in clients):
            clients[0].join(0.001)
        node.kill()
        for client in clients:
            client.join()
        node.process.stdout.close()
        node.log.close()
        self.assertGreater(len(acknowledged), before, f"round {number} got nothing through")

    def check(self, data, acknowledged, unknown):
        with harness.Node(BANK, data) as node:
            # An unknown outcome is settled by the same key, and then it is as good as acknowledged.
            for account, key in unknown:
                answer = node.command("account", account, "Deposit", {"amount": 1}, Idempotency_Key=key)
                self.assertEqual(answer.status, 200, answer.body)
                acknowledged.append((account, key, answer.json["version"]))
            keys = {}
            for account, key, version in acknowledged:
                self.assertNotIn((account, version), keys, "two commands got one version")
                keys[(account, version)] = key
            position = node.get("/events?after=end&limit=1").headers["cairn-position"]
            for account in (f"a{n}" for n in range(ACCOUNTS)):
                versions = sorted(v for a, v in keys if a == account)
                self.assertEqual(versions, list(range(2, len(versions) + 2)), "versions are dense and none is lost")
                row = node.get(f"/views/balances/{account}", Cairn_Position=position).json
                self.assertEqual(row["balance"], len(versions))
                again = [(v, k) for (a, v), k in keys.items() if a == account][:20]
                for version, key in again:
                    answer = node.command("account", account, "Deposit", {"amount": 1}, Idempotency_Key=key)
                    self.assertEqual((answer.status, answer.json["version"]), (200, version))
                    self.assertEqual(answer.headers["idempotency-replayed"], "true")


if __name__ == "__main__":
    harness.main()
