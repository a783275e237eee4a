#!/usr/bin/env python3
"""`cairn replay` of views in LMDB: switch, roll back, drop, go on, dry runs."""
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


if __name__ == "__main__":
    harness.main()
