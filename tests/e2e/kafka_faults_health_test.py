#!/usr/bin/env python3
"""What processes say of themselves while the broker is away: killed, and standing still."""
import http.client
import time

import harness
from kafka_load import Case, open_accounts, settle, wait_until

# Seconds are promised; a machine that is busy with other things may add its own.
NOTICE_S = 60


def ready(one):
    return one.get("/health/ready")


class Health(Case):
    def check_lost(self, processes):
        for one in processes:
            told, after = wait_until(lambda one=one: (answer := ready(one)).status == 503 and answer, "still ready",
                                     NOTICE_S)
            self.assertEqual(told.json["type"], "/problems/unreachable", told.body)
            self.assertIn("retry-after", told.headers)
            self.assertEqual(one.get("/health/live").status, 200)
            print(f"{one.name}: not ready after {after:.2f} s: {told.json['detail']}", flush=True)

    def check_refused(self, one):
        for account in ("a1", "a2", "a3"):
            began = time.monotonic()
            answer = one.command("account", account, "Deposit", {"amount": 1})
            took = time.monotonic() - began
            self.assertEqual(answer.status, http.client.SERVICE_UNAVAILABLE, answer.body)
            self.assertIn("retry-after", answer.headers)
            print(f"refused after {took:.2f} s: {answer.json['type']}: {answer.json['detail']}", flush=True)
            self.assertLess(took, NOTICE_S)

    def lose(self, processes, lose, bring_back):
        command = processes[0]
        lose(1)
        self.check_lost(processes)
        self.check_refused(command)
        bring_back(1)
        for one in processes:
            _, after = wait_until(lambda one=one: ready(one).status == 200, lambda one=one: ready(one).body)
            print(f"{one.name}: ready again after {after:.2f} s", flush=True)
        settle([command])
        wait_until(lambda: command.command("account", "a1", "Deposit", {"amount": 1}).status == 200, "refused for good")

    def test_a_lost_cluster_is_told_by_who_needs_it(self):
        command, projector = self.member("command", "command"), self.member("projector", "projector")
        settle([command])
        open_accounts(command)
        for one in (command, projector):
            wait_until(lambda one=one: ready(one).status == 200, lambda one=one: ready(one).body)
        self.lose((command, projector), self.broker.kill, self.broker.restart)
        self.lose((command, projector), self.broker.pause, self.broker.resume)


if __name__ == "__main__":
    harness.main()
