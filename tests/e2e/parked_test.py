#!/usr/bin/env python3
"""Streams that a view in LMDB could not apply: list, show, retry, drop."""
import unittest

import harness
from parked_cases import BAD, ParkedCases

# Instructions that one call may take: enough for a line, and only later for a BAD one.
FEW, ENOUGH = 20000, 10000000
COUNTED = f"""
local counted = view "counted"
counted.version = 1
counted.on_error = "park"

function counted.on.LineAdded(view, event)
  local data = event.data
  local row = view:get(data.customer) or {{ lines = 0 }}
  row.lines = row.lines + 1
  row.last = data.quantity
  view:put(data.customer, row)
  local turns = data.quantity == {BAD} and {FEW} or 0
  for _ = 1, turns do turns = turns - 1 end
end
"""


class Parked(ParkedCases, unittest.TestCase):
    file = "views/counted.lua"
    text = COUNTED
    parks = 'counted.on_error = "park"'
    edits = (("row.lines + 1", "row.lines + 10"), (f"{FEW} or 0", "0 or 0"))

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.instructions = FEW

    def flags(self):
        return ("--script-instructions", str(self.instructions))

    def open_gate(self):
        self.instructions = ENOUGH

    def test_an_unknown_policy_is_refused_by_check(self):
        self.begin()
        (self.domain / self.file).write_text(COUNTED.replace('"park"', '"ignore"'))
        done = harness.run("check", self.domain)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("on_error", done.stdout)


if __name__ == "__main__":
    harness.main()
