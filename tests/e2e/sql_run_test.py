#!/usr/bin/env python3
"""tools/run --postgres shows the shop on a PostgreSQL of its own, and leaves nothing running."""
import json
import os
import re
import signal
import subprocess
import unittest

import harness
import sql_shop
from harness import ROOT

RUN_S = 300
# What the script sends: examples/shop/generate without arguments.
LINES, SEED = 2000, 1


def start(folder, *flags):
    """The script on a free port, with its data in the folder and the binary under test. A shell cannot heed an interrupt that
    whoever started the tests ignores, as one does that puts them into the background."""
    words = ["env", "--default-signal=INT", ROOT / "tools/run", "--data", folder / "data", "--listen", "127.0.0.1:0", *flags]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "CAIRN_BINARY": harness.BINARY})


def postgres(folder, verb, *arguments):
    words = [ROOT / "tools/postgres", verb, "--folder", folder / "data/postgres", *arguments]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=RUN_S, check=False)


def bash(line):
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)


def check_once(test, folder, *flags):
    """A run with --once ends by itself; its database holds what was sent, and has stopped."""
    test.addCleanup(postgres, folder, "down", "--wipe")
    with start(folder, *flags, "--once") as process:
        text = process.communicate(timeout=RUN_S)[0]
    test.assertEqual(process.returncode, 0, text)
    test.assertIn("Seven things to try", text)
    test.assertEqual(len(re.findall(r'^\{.*"type":"LineAdded"', text, re.M)), 3, text)
    test.assertEqual(postgres(folder, "status").returncode, 3, "it was stopped")
    uri = folder / "data/postgres-uri"
    test.assertEqual(uri.stat().st_mode & 0o777, 0o600)
    test.assertNotIn(uri.read_text().strip(), text)
    test.assertEqual(postgres(folder, "up").returncode, 0)
    sent = sql_shop.make_commands(folder, LINES, SEED)[1]
    found = postgres(folder, "psql", "-At", "-c", "SELECT count(*) FROM shop.order_lines WHERE invoice NOT LIKE 'live-%'")
    test.assertEqual((found.stdout.strip(), found.stderr), (str(sent["accepted"]), ""))
    return text


class Run(unittest.TestCase):
    def test_once_shows_the_shop_and_stops_the_database(self):
        text = check_once(self, self.enterContext(harness.folder()), "--postgres")
        self.assertIn("its log is files, its views are in LMDB and PostgreSQL", text)

    def test_what_it_offers_to_try_answers_until_it_is_stopped(self):
        folder = self.enterContext(harness.folder())
        self.addCleanup(postgres, folder, "down", "--wipe")
        with start(folder, "--postgres") as process:
            text = ""
            while "stop with Ctrl-C" not in text:
                line = process.stdout.readline()
                self.assertTrue(line, text)
                text += line
            tries = re.findall(r"^  (curl '.*')$", text, re.M)
            self.assertEqual(len(tries), 6, text)
            for line in tries:
                done = bash(f"{line} -sf")
                self.assertEqual(done.returncode, 0, line)
                self.assertGreater(len(json.loads(done.stdout)["items"]), 0, line)
            done = bash(re.search(r"^Look into its tables: (.*)$", text, re.M).group(1))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("amount_mills", done.stdout)
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            self.assertEqual(process.wait(RUN_S), 128 + signal.SIGINT)
        self.assertEqual(postgres(folder, "status").returncode, 3, "it was stopped")

    def test_a_wrong_flag_is_usage(self):
        done = subprocess.run([ROOT / "tools/run", "--mysql"], capture_output=True, text=True, timeout=RUN_S, check=False)
        self.assertEqual(done.returncode, 2)
        for flag in ("--kafka", "--postgres", "--once"):
            self.assertIn(flag, done.stdout)


if __name__ == "__main__":
    harness.main()
