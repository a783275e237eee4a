"""The shop with its views in PostgreSQL, for tests: a database for each, load, and the totals of an independent program.

Standard library only.
"""
import json
import shutil
import subprocess
import threading
import time

import harness
import retail_test
from harness import ROOT

SHOP = ROOT / "examples/shop"
MEASURES = retail_test.MEASURES
PATIENCE_S = 120


def wait_until(done, what, wait_s=PATIENCE_S):
    """Waits until done() is true; returns what it gave."""
    until = time.monotonic() + wait_s
    while not (given := done()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {wait_s} s: {what}")
        time.sleep(0.02)
    return given


def make_commands(folder, lines, seed):
    """A file of commands, the totals that come of it, and how many events that is."""
    path = folder / f"commands-{seed}.ndjson"
    with open(path, "wb") as out:
        subprocess.run([SHOP / "generate", str(lines), str(seed)], stdout=out, check=True)
    found = subprocess.run([SHOP / "totals", "--commands", path], stdout=subprocess.PIPE, check=True).stdout
    return path, json.loads(found)


def copy_shop(folder):
    """The shop as files that a test may change."""
    return shutil.copytree(SHOP, folder / "shop")


def database_uri(server, name):
    return server.uri.rpartition("/")[0] + f"/{name}"


def make_database(server, name):
    """An empty database; returns its URI."""
    server.psql(f"CREATE DATABASE {name}")
    return database_uri(server, name)


def psql(server, name, sql):
    """Runs SQL in a database of the server."""
    return server.psql(sql, "-d", database_uri(server, name))


def send(node, commands, *flags):
    done, summary = retail_test.send(node, commands, *flags)
    assert done.returncode == 0, done.stderr
    return summary


class Sending(threading.Thread):
    """Sends commands beside what a test does meanwhile; join() fails where a send does."""

    def __init__(self, node, commands, *flags):
        super().__init__(daemon=True)
        self.node, self.commands, self.flags, self.failure = node, commands, flags, None
        self.start()

    def run(self):
        try:
            send(self.node, self.commands, *self.flags)
        except BaseException as failure:  # told by whoever waits
            self.failure = failure

    def finish(self):
        self.join(600)
        if self.failure:
            raise self.failure
        assert not self.is_alive()


def read_customers(node, view, position):
    """Every customer's totals by a view, as of a position or later."""
    return retail_test.read_view(node, view, position)


def check_totals(test, node, totals):
    """What both kinds of views say is what the independent program says."""
    wait_for_views(node)
    position = retail_test.end_of_log(node)
    expected = {key: {m: row[m] for m in MEASURES} for key, row in totals["views"]["customers"].items()}
    test.assertEqual(read_customers(node, "customers", position), expected)
    test.assertEqual(read_customers(node, "customer_totals", position), expected)
    days = walk(node, "/views/daily_turnover?limit=1000", position)
    test.assertEqual(sum(row["lines"] for row in days), sum(row["lines"] for row in expected.values()))
    test.assertEqual(sum(row["amount_mills"] for row in days), sum(row["amount_mills"] for row in expected.values()))
    lines = walk(node, "/views/order_lines?limit=1000&select=invoice,line,quantity,price_mills,customer", position)
    test.assertEqual(len({(row["invoice"], row["line"]) for row in lines}), len(lines))
    sums = {}
    for row in lines:
        quantity, amount = sums.get(row["customer"], (0, 0))
        sums[row["customer"]] = (quantity + row["quantity"], amount + row["quantity"] * row["price_mills"])
    test.assertEqual(sums, {key: (row["quantity"], row["amount_mills"]) for key, row in expected.items()})


def walk(node, path, position=None):
    """All items of a listing, page by page."""
    items, cursor = [], ""
    headers = {"Cairn_Position": position, "Prefer": "wait=60"} if position else {}
    while True:
        page = node.get(path + cursor, **headers)
        assert page.status == 200, (path, page.status, page.body)
        items += page.json["items"]
        if "next" not in page.json:
            return items
        cursor = f"&cursor={page.json['next']}"


def view_state(node, view):
    """The view's entry in GET /views."""
    found = [one for one in node.get("/views").json["items"] if one["name"] == view]
    return found[0] if found else None


def wait_for_views(node):
    """Waits until every view of the domain holds all that the log holds, so that a stop leaves nothing unbuilt."""
    def caught_up():
        states = node.get("/views").json["items"]
        return states and all(state["state"] == "live" and state["lag"] == 0 for state in states)
    wait_until(caught_up, "every view is live and at the end of the log")


def serve(folder, uri, domain=SHOP, flags=()):
    return harness.Node(domain, folder / "data", flags=("--postgres", uri, *flags))
