#!/usr/bin/env python3
"""One of two nodes is cut off from the broker, in two ways, while clients and the other node still reach it.

CAIRN_KAFKA_SEED chooses what the clients do; it is printed. Needs root, for network namespaces.
"""
import time

import harness
import kafka_link
from kafka_load import ACCOUNTS, SEED, Case, attempt, lanes_of_accounts, open_accounts, partitions, settle, wait_until

# Until a node that is cut off says so, and until it refuses a command: seconds, and what a busy machine adds.
NOTICE_S = 60


class Link(Case):
    @classmethod
    def setUpClass(cls):
        missing = kafka_link.can_isolate()
        if missing:
            harness.skip_loudly(missing)
        print(f"seed {SEED}", flush=True)
        cls.cell = cls.enterClassContext(kafka_link.Cell())
        broker, cls.inside = kafka_link.reachable_broker(cls.cell)
        cls.broker = cls.enterClassContext(broker)

    def check_cut(self, one, lost):
        """A node without the broker says so, and acknowledges nothing of what it had."""
        told, after = wait_until(lambda: (answer := one.get("/health/ready")).status == 503 and answer.json,
                                 "still ready", NOTICE_S)
        print(f"not ready after {after:.2f} s: {told['detail']}", flush=True)
        self.assertEqual(one.get("/health/live").status, 200)
        for account in lost[:3]:
            began = time.monotonic()
            answer = attempt(one, account, f"{self.id()}-{account}-{began}", 2 * NOTICE_S)
            self.assertIsNotNone(answer)
            self.assertEqual(answer.status, 503, answer.body)
            self.assertIn("retry-after", answer.headers)
            print(f"refused after {time.monotonic() - began:.2f} s: {answer.json['detail']}", flush=True)
            self.assertLess(time.monotonic() - began, NOTICE_S)

    def cut(self, load, homes, cut, mend):
        lanes = settle([self.one, self.two])
        mine = {lane["partition"] for lane in partitions(self.one) if lane["here"]}
        self.assertEqual(len(mine), len(lanes) / 2)
        load.go_on()
        began = time.monotonic()
        cut()
        _, taken = wait_until(lambda: all(lane["here"] for lane in partitions(self.two)), "lanes are not taken over")
        self.check_cut(self.one, [account for account, lane in homes.items() if lane in mine])
        load.go_on()
        print("cut off: lanes taken over in %.2f s, %.2f s without any answer, %.2f s for one client"
              % (taken, *load.silence_s(began)), flush=True)
        mend()
        began = time.monotonic()
        settle([self.one, self.two])
        wait_until(lambda: self.one.get("/health/ready").status == 200, "not ready again")
        load.go_on()
        print(f"back: joined in {time.monotonic() - began:.2f} s", flush=True)

    def survive(self, cut, mend):
        self.one = self.enterContext(kafka_link.Inside(self.cell, self.inside, self.folder, "one"))
        self.two = self.enterContext(kafka_link.Beside(self.cell, self.broker.bootstrap, self.folder, "two"))
        settle([self.one, self.two])
        open_accounts(self.one)
        homes, _ = wait_until(lambda: len(homes := lanes_of_accounts(self.broker.bootstrap)) == ACCOUNTS and homes,
                              "every account is seen")
        with self.load([self.one, self.two]) as load:
            self.cut(load, homes, cut, mend)
        self.check(load, [self.one, self.two])

    def test_a_link_that_swallows_all_is_survived(self):
        self.survive(self.cell.go_silent, self.cell.hear_again)

    def test_a_link_that_is_down_is_survived(self):
        self.survive(self.cell.go_down, self.cell.come_up)


if __name__ == "__main__":
    harness.main()
