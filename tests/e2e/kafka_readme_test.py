#!/usr/bin/env python3
"""The README's tour on Kafka works when it is pasted."""
import subprocess
import unittest

import harness
from harness import ROOT
from kafka import free_ports
from readme_test import SCRIPT_S, blocks


class Readme(unittest.TestCase):
    def test_the_tour_on_kafka_works_when_pasted(self):
        folder = self.enterContext(harness.folder())
        cluster = folder / "kafka"
        self.addCleanup(subprocess.run, [ROOT / "tools/kafka", "down", "--wipe", "--folder", cluster], check=True,
                        capture_output=True)
        script = "\n".join(blocks(ROOT / "README.md", "## On Kafka"))
        script = script.replace("build/release/cairn", harness.BINARY).replace("/tmp/bank-", f"{folder}/")
        script = script.replace("tools/kafka up", f"tools/kafka up --port 0 --folder {cluster}")
        script = script.replace("tools/kafka down", f"tools/kafka down --folder {cluster}")
        for port in ("8081", "8082"):
            script = script.replace(port, str(free_ports(1)))
        done = subprocess.run(["bash", "-c", f"set -eu\n{script}"], cwd=ROOT, capture_output=True, text=True,
                              timeout=2 * SCRIPT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for words in ('"stream":"account-ada","version":1', '"balance":0', '"state":"owned"', "ada: ce_specversion=1.0"):
            self.assertIn(words, done.stdout)


if __name__ == "__main__":
    harness.main()
