"""The shop with its views in PostgreSQL, for tests: a database for each, load, and the totals of an independent program.

Standard library only.
"""
import json
import random
import re
import shutil
import subprocess
import threading
import unittest

import harness
import retail_test
from harness import ROOT, wait_until
from postgres import Postgres

SHOP = ROOT / "examples/shop"
MEASURES = retail_test.MEASURES
# What a replay is told of a view whose builder before has not let go of it yet.
HELD = re.compile("is being built by another process|is being rebuilt")


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
    node.wait_for_views()
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
    headers = {"Cairn_Position": position} if position else {}
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


wait_for_views = harness.Node.wait_for_views


def wait_for_generation(node, view, generation):
    wait_until(lambda: view_state(node, view)["generation"] == generation, f"generation {generation} of {view}")


def wait_for_builders(server):
    """Waits until nobody builds: of a builder that was killed the server finds out late, and holds its lock till then."""
    wait_until(lambda: server.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0", "nobody builds")


def begin_replay(*arguments):
    """`cairn replay`, running."""
    return subprocess.Popen([harness.BINARY, "replay", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def replay(*arguments):
    """Runs `cairn replay`; again, while the builder before holds the view: others see its switch before it has let go."""
    def run():
        done = harness.run("replay", *arguments)
        return None if done.returncode != 0 and HELD.search(done.stderr) else done
    return wait_until(run, "nobody else builds the view")


class Databases(unittest.TestCase):
    """Tests that share a folder and a server; each has a database of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(harness.folder())
        cls.server = cls.enterClassContext(Postgres())

    def setUp(self):
        self.name = "d_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = make_database(self.server, self.name)

    def sql(self, text):
        return psql(self.server, self.name, text)


class Case(Databases):
    """Tests that share commands, too; each has a folder and a shop of its own.

    lines, seed: of the commands; without a seed a printed one.
    """

    lines, seed = None, None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.seed is None:
            cls.seed = random.SystemRandom().randrange(1 << 16)
            print(f"seed {cls.seed}", flush=True)
        cls.commands, cls.totals = make_commands(cls.folder, cls.lines, cls.seed)

    def setUp(self):
        super().setUp()
        self.home = self.folder / self.name
        self.home.mkdir()
        self.domain = copy_shop(self.home)

    def serve(self, *flags, uri=None):
        return serve(self.home, uri or self.uri, self.domain, flags)

    def edit(self, path, *changes):
        """Changes, (old, new) each, of a file of the domain."""
        text = (self.domain / path).read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.domain / path).write_text(text)

    def verify(self):
        """Every row of every view is what the log gives, by a replay of it."""
        done = harness.run("verify", self.domain, "--data", self.home / "data", "--postgres", self.uri)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def serve(folder, uri, domain=SHOP, flags=()):
    return harness.Node(domain, folder / "data", flags=("--postgres", uri, *flags))
