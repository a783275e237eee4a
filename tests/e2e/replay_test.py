#!/usr/bin/env python3
"""`cairn replay` of views in LMDB: switch, roll back, drop, go on, dry runs."""
import json
import shutil
import unittest

import harness
from replay_cases import ReplayCases


class Replay(ReplayCases, unittest.TestCase):
    view = "customers"
    file = "views/customers.lua"
    edits = (("{ lines = 0,", "{ lines = 1000,"),)

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.prepare(cls.stack.enter_context(harness.folder()))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def flags(self):
        return ()

    def forget(self):
        shutil.rmtree(self.home / "data/views")

    def scratch_places(self):
        return [path.name for path in (self.home / "data").rglob("*check*")]

    def test_a_dry_run_cuts_no_command(self):
        """Closing an account pays out and closes: two events, and the position of the first is inside."""
        bank, data = harness.ROOT / "examples/bank", self.folder / "bank"
        with harness.Node(bank, data) as node:
            for command, given in (("Open", {"owner": "Ada"}), ("Deposit", {"amount": 5}), ("Close", {})):
                done = node.command("account", "ada", command, given)
                self.assertLess(done.status, 300, done.body)
            at = done.headers["cairn-position"]
            self.assertEqual(node.get("/views/balances/ada", Cairn_Position=at, Prefer="wait=60").status, 200)
        self.assertEqual(at, "0:4")
        for flags, position, events in ((("--until", "0:3"), "0:2", 2), (("--until", "0:4"), "0:4", 4),
                                        (("--until", "0:9"), "0:4", 4)):
            done = harness.run("replay", "balances", bank, "--data", data, "--dry-run", "--json", *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = json.loads(done.stdout)
            self.assertEqual((told["position"], told["events"]), (position, events), flags)


if __name__ == "__main__":
    harness.main()
