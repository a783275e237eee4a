#!/usr/bin/env python3
"""The main job: half a million real order lines in as commands, out as views with totals right to the last digit.

The same after kill -9 in the middle and a second send of the whole file, and after deleting index and views. Without
the data set the test says so and uses generated lines.
"""
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import threading
import unittest

import harness
from harness import ROOT, SHARED_DATA

SHOP = ROOT / "examples/shop"
CSV = SHARED_DATA / "online-retail/online_retail.csv.gz"
VIEWS = ("invoices", "customers", "products", "countries")
MEASURES = ("lines", "quantity", "amount_mills")
# Of a send that is cut off: so many lines go out before the kill, which comes at so many events.
LINES_BEFORE, KILL_AT = 15000, 5000


def prepare(folder):
    """The commands as NDJSON, and the totals that an independent program finds in the same input."""
    commands = folder / "commands.ndjson"
    if CSV.exists():
        source = [str(SHOP / "convert"), str(CSV)]
        totals = [str(SHOP / "totals"), str(CSV)]
    else:
        print(f"SKIPPED the real data: {CSV} is not there; using generated lines", file=sys.stderr)
        source = [str(SHOP / "generate"), "20000"]
        totals = [str(SHOP / "totals"), "--commands", str(commands)]
    with open(commands, "wb") as out:
        subprocess.run(source, stdout=out, check=True)
    found = subprocess.run(totals, stdout=subprocess.PIPE, check=True).stdout
    return commands, json.loads(found)


def send(node, commands, *flags):
    done = harness.run("send", commands, "--to", node.url, "--json", *flags)
    return done, json.loads(done.stdout) if done.stdout.strip() else None


def read_view(node, view, position):
    """Every row of a view, by key, walked with cursors."""
    rows, cursor = {}, ""
    while True:
        page = node.get(f"/views/{view}?limit=1000{cursor}", Cairn_Position=position)
        assert page.status == 200, page.body
        for row in page.json["items"]:
            rows[row["key"]] = {measure: row[measure] for measure in MEASURES}
        if "next" not in page.json:
            return rows
        cursor = f"&cursor={page.json['next']}"


def end_of_log(node):
    return node.get("/events?after=end&limit=1").headers["cairn-position"]


class Retail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.commands, cls.totals = prepare(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def compare(self, node):
        node.wait_for_views()
        position = end_of_log(node)
        for view in VIEWS:
            rows = read_view(node, view, position)
            expected = {key: {m: row[m] for m in MEASURES} for key, row in self.totals["views"][view].items()}
            self.assertEqual(len(rows), len(expected), view)
            self.assertEqual(rows, expected, view)
        top = node.get("/views/countries?order=amount_mills.desc&limit=5").json["items"]
        amounts = sorted((row["amount_mills"] for row in self.totals["views"]["countries"].values()), reverse=True)[:5]
        self.assertEqual([row["amount_mills"] for row in top], amounts)

    def check_summary(self, summary):
        kinds = dict(summary["kinds"])
        self.assertEqual(kinds.pop("accepted", 0), self.totals["accepted"])
        rejected = {f"rejected {code}": count for code, count in self.totals["rejected"].items() if count}
        self.assertEqual(kinds, rejected)

    def test_1_all_at_once_then_from_nothing_but_the_log(self):
        data = self.folder / "data"
        with harness.Node(SHOP, data) as node:
            done, summary = send(node, self.commands)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check_summary(summary)
            self.compare(node)
            self.assertEqual(node.stop(), 0)
        harness.shutil.rmtree(data / "index")
        harness.shutil.rmtree(data / "views")
        with harness.Node(SHOP, data) as node:
            self.compare(node)
            replayed = harness.run("replay", "countries", SHOP, "--data", data)
            self.assertEqual(replayed.returncode, 0, replayed.stderr)
            self.compare(node)
        verified = harness.run("verify", SHOP, "--data", data)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_2_a_kill_in_the_middle_and_the_whole_file_again(self):
        data = self.folder / "killed"
        node = harness.Node(SHOP, data).start()
        self.assertNotEqual(self.cut_off(node), 0)
        with harness.Node(SHOP, data) as node:
            done, summary = send(node, self.commands)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check_summary(summary)
            self.compare(node)

    def cut_off(self, node):
        """Sends while the node dies; returns the sender's exit status."""
        killed = threading.Event()
        words = [harness.BINARY, "send", "-", "--to", node.url, "--retry-for", "0s"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sending:
            feeder = threading.Thread(target=self.feed, args=(sending.stdin, killed))
            feeder.start()
            try:
                path = f"/events?limit=1&after=0:{KILL_AT}"
                harness.wait_until(lambda: node.get(path).json["items"], "some of the events are in the log")
            finally:
                node.kill()
                killed.set()
                feeder.join()
            return sending.wait(harness.PATIENCE_S)

    def feed(self, pipe, killed):
        """Some of the lines, and the rest once the node is gone: no send is over before that."""
        with open(self.commands, "rb") as lines, contextlib.suppress(BrokenPipeError), pipe:
            pipe.writelines(itertools.islice(lines, LINES_BEFORE))
            pipe.flush()
            killed.wait()
            shutil.copyfileobj(lines, pipe)


if __name__ == "__main__":
    harness.main()
