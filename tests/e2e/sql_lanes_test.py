#!/usr/bin/env python3
"""`cairn replay --workers N` of views in PostgreSQL: the rows of one worker, whoever is killed meanwhile."""
import json
import random
import subprocess
import unittest

import harness
import sql_shop
from postgres import Postgres
from sql_shop import psql, view_state, wait_until

LINES = 4000
PARTITIONS = 4
VIEWS = ("customer_totals", "daily_turnover", "kept_goods", "order_lines")


class SqlLanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.seed = random.SystemRandom().randrange(1 << 16)
        print(f"seed {cls.seed}", flush=True)
        cls.commands, cls.totals = sql_shop.make_commands(cls.folder, LINES, cls.seed)
        cls.events = sum(row["lines"] for row in cls.totals["views"]["customers"].values())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        """A shop of the test's own, whose log has four partitions, with everything in its views."""
        self.name = "d_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = sql_shop.make_database(self.server, self.name)
        self.home = self.folder / self.name
        self.home.mkdir()
        self.domain = sql_shop.copy_shop(self.home)
        with sql_shop.serve(self.home, self.uri, self.domain, ("--partitions", str(PARTITIONS))) as node:
            sql_shop.send(node, self.commands)
            self.check(node)

    def serve(self):
        return sql_shop.serve(self.home, self.uri, self.domain)

    def check(self, node):
        wait_until(lambda: all((view_state(node, view) or {}).get("state") == "live" for view in VIEWS), "all views are live")
        sql_shop.check_totals(self, node, self.totals)

    def sql(self, text):
        return psql(self.server, self.name, text)

    def arguments(self, view, *flags):
        return ("replay", view, self.domain, "--data", self.home / "data", "--postgres", self.uri, "--json", *flags)

    def replay(self, view, *flags):
        done = harness.run(*self.arguments(view, *flags))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout), done.stderr

    def begin(self, view, *flags):
        """A replay that is under way in several lanes, of which each has applied something."""
        replay = subprocess.Popen([harness.BINARY, *map(str, self.arguments(view, "--throttle", "2000", *flags))],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: replay.poll() is not None or self.lanes() == "t", "all lanes are under way")
        self.assertIsNone(replay.poll())
        return replay

    def lanes(self):
        return self.sql("SELECT count(*) > 1 AND min(events) > 0 FROM shop._cairn_lane")

    def edit(self, old, new):
        path = self.domain / "views/customer_totals.sql"
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def test_each_view_of_the_shop_has_the_rows_of_one_worker(self):
        with self.serve() as node:
            for view in VIEWS:
                for workers in (2, PARTITIONS, PARTITIONS + 3):
                    done, _ = self.replay(view, "--workers", str(workers))
                    self.assertEqual((done["workers"], done["same"], done["resumed"]), (min(workers, PARTITIONS), True, False))
            self.check(node)
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")

    def test_a_statement_that_reads_other_rows_is_left_to_one_worker(self):
        self.edit("-- version: 1", "-- version: 2")
        self.edit("VALUES (:customer, 1, :quantity, :quantity::bigint * :price_mills::bigint)",
                  "SELECT :customer, 1, :quantity, :quantity::bigint * :price_mills::bigint + 0 * count(*) FROM customer_totals")
        done, log = self.replay("customer_totals", "--workers", str(PARTITIONS))
        self.assertEqual(done["workers"], 1)
        self.assertIn("view is built by one worker", log)
        with self.serve() as node:
            self.check(node)

    def test_a_replay_that_is_killed_is_gone_on_with(self):
        for workers in (PARTITIONS, 2):
            replay = self.begin("kept_goods", "--workers", str(workers))
            replay.kill()
            replay.communicate()
            self.assertEqual(self.lanes(), "t")
        done, _ = self.replay("kept_goods", "--workers", "3")
        self.assertEqual((done["resumed"], done["same"], done["events"]), (True, True, self.events))
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")
        with self.serve() as node:
            self.check(node)

    def test_a_projector_goes_on_with_the_lanes_of_a_killed_replay(self):
        self.edit("-- version: 1", "-- version: 2")
        replay = self.begin("customer_totals", "--workers", str(PARTITIONS))
        replay.kill()
        replay.communicate()
        applied = int(self.sql("SELECT sum(events) FROM shop._cairn_lane"))
        with self.serve() as node:
            wait_until(lambda: view_state(node, "customer_totals")["generation"] == 2, "the switch")
            self.check(node)
        self.assertGreater(applied, 0)
        self.assertEqual(self.sql("SELECT events FROM shop._cairn_view WHERE view = 'customer_totals' AND side = 'live'"),
                         str(self.events))

    def test_progress_of_all_lanes_is_told(self):
        with self.serve() as node:
            replay = self.begin("customer_totals", "--workers", str(PARTITIONS))
            done = view_state(node, "customer_totals")["rebuild"]["done"]
            self.assertGreaterEqual(done, PARTITIONS)
            wait_until(lambda: view_state(node, "customer_totals")["rebuild"]["done"] > done, "it moves on")
            replay.terminate()
            out, err = replay.communicate(timeout=60)
            self.assertEqual((replay.returncode, out), (1, ""), err)
            self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")
            self.assertTrue(self.replay("customer_totals")[0]["resumed"])
            self.check(node)

    def test_a_replay_outlives_a_server_that_is_killed(self):
        replay = self.begin("customer_totals", "--workers", str(PARTITIONS))
        self.server.kill()
        self.server.restart()
        out, err = replay.communicate(timeout=240)
        self.assertEqual(replay.returncode, 0, err)
        done = json.loads(out)
        self.assertEqual((done["workers"], done["same"], done["events"]), (PARTITIONS, True, self.events))
        with self.serve() as node:
            self.check(node)


if __name__ == "__main__":
    harness.main()
