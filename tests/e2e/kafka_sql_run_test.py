#!/usr/bin/env python3
"""tools/run --kafka --postgres shows the shop on both, each of its own, and leaves neither running."""
import subprocess
import unittest

import harness
from harness import ROOT
from sql_run_test import RUN_S, check_once


def kafka(folder, verb, *arguments):
    words = [ROOT / "tools/kafka", verb, "--folder", folder / "data/kafka", *arguments]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=RUN_S, check=False)


class Run(unittest.TestCase):
    def test_once_shows_the_shop_on_both_and_stops_them(self):
        folder = self.enterContext(harness.folder())
        self.addCleanup(kafka, folder, "down", "--wipe")
        text = check_once(self, folder, "--kafka", "--postgres")
        self.assertRegex(text, r"its log is kafka:127\.0\.0\.1:\d+, its views are in LMDB and PostgreSQL")
        self.assertIn("node 1: stopped", kafka(folder, "status").stdout)


if __name__ == "__main__":
    harness.main()
