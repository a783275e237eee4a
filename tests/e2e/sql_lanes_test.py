#!/usr/bin/env python3
"""`cairn replay --workers N` of views in PostgreSQL: the rows of one worker, whoever is killed meanwhile."""
import json

import harness
import sql_shop
from harness import PATIENCE_S, wait_until
from sql_shop import view_state

LINES = 4000
PARTITIONS = 4
# Events a second of a replay that must not be over before it is looked at, and of one that is to end, too.
SLOW, LESS_SLOW = 40, 250
READING = "SELECT :customer, 1, :quantity, :quantity::bigint * :price_mills::bigint + 0 * count(*) FROM customer_totals"
VIEWS = ("customer_totals", "daily_turnover", "kept_goods", "order_lines")


class SqlLanes(sql_shop.Case):
    lines = LINES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.events = sum(row["lines"] for row in cls.totals["views"]["customers"].values())

    def setUp(self):
        """A log with four partitions, and everything in its views."""
        super().setUp()
        with self.serve("--partitions", str(PARTITIONS)) as node:
            sql_shop.send(node, self.commands)
            self.check(node)
        sql_shop.wait_for_builders(self.server)

    def check(self, node):
        sql_shop.check_totals(self, node, self.totals)

    def arguments(self, view, *flags):
        return (view, self.domain, "--data", self.home / "data", "--postgres", self.uri, "--json", *flags)

    def replay(self, view, *flags):
        done = sql_shop.replay(*self.arguments(view, *flags))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout), done.stderr

    def begin(self, view, workers, throttle=SLOW):
        """A replay that is under way in so many lanes, of which each has applied something."""
        replay = sql_shop.begin_replay(*self.arguments(view, "--workers", str(workers), "--throttle", str(throttle)))
        wait_until(lambda: replay.poll() is not None or self.lanes(workers) == "t", "all lanes are under way")
        self.assertIsNone(replay.poll())
        return replay

    def begin_and_kill(self, view, workers):
        replay = self.begin(view, workers)
        replay.kill()
        replay.communicate()
        sql_shop.wait_for_builders(self.server)
        self.assertEqual(self.lanes(workers), "t")

    def lanes(self, count):
        return self.sql(f"SELECT count(*) = {count} AND min(events) > 0 FROM shop._cairn_lane")

    def test_each_view_of_the_shop_has_the_rows_of_one_worker(self):
        with self.serve() as node:
            for view in VIEWS:
                for workers in (2, PARTITIONS, PARTITIONS + 3):
                    done, _ = self.replay(view, "--workers", str(workers))
                    self.assertEqual((done["workers"], done["same"], done["resumed"]), (min(workers, PARTITIONS), True, False))
            self.check(node)
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")

    def test_a_statement_that_reads_other_rows_is_left_to_one_worker(self):
        self.edit("views/customer_totals.sql", ("-- version: 1", "-- version: 2"),
                  ("VALUES (:customer, 1, :quantity, :quantity::bigint * :price_mills::bigint)", READING))
        done, log = self.replay("customer_totals", "--workers", str(PARTITIONS))
        self.assertEqual(done["workers"], 1)
        self.assertIn("view is built by one worker", log)
        with self.serve() as node:
            self.check(node)

    def test_a_replay_that_is_killed_is_gone_on_with(self):
        for workers in (PARTITIONS, 2):
            self.begin_and_kill("kept_goods", workers)
        done, _ = self.replay("kept_goods", "--workers", "3")
        self.assertEqual((done["resumed"], done["same"], done["events"]), (True, True, self.events))
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")
        with self.serve() as node:
            self.check(node)

    def test_a_projector_goes_on_with_the_lanes_of_a_killed_replay(self):
        self.edit("views/customer_totals.sql", ("-- version: 1", "-- version: 2"))
        self.begin_and_kill("customer_totals", PARTITIONS)
        with self.serve() as node:
            sql_shop.wait_for_generation(node, "customer_totals", 2)
            self.check(node)
        self.assertEqual(self.sql("SELECT events FROM shop._cairn_view WHERE view = 'customer_totals' AND side = 'live'"),
                         str(self.events))

    def test_progress_of_all_lanes_is_told(self):
        with self.serve() as node:
            replay = self.begin("customer_totals", PARTITIONS)
            done = view_state(node, "customer_totals")["rebuild"]["done"]
            self.assertGreaterEqual(done, PARTITIONS)
            wait_until(lambda: view_state(node, "customer_totals")["rebuild"]["done"] > done, "it moves on")
            replay.terminate()
            out, err = replay.communicate(timeout=PATIENCE_S)
            self.assertEqual((replay.returncode, out), (1, ""), err)
            self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_lane"), "0")
            self.assertTrue(self.replay("customer_totals")[0]["resumed"])
            self.check(node)

    def test_a_replay_outlives_a_server_that_is_killed(self):
        replay = self.begin("customer_totals", PARTITIONS, throttle=LESS_SLOW)
        self.server.kill()
        self.server.restart()
        out, err = replay.communicate(timeout=3 * PATIENCE_S)
        self.assertEqual(replay.returncode, 0, err)
        done = json.loads(out)
        self.assertEqual((done["workers"], done["same"], done["events"]), (PARTITIONS, True, self.events))
        with self.serve() as node:
            self.check(node)


if __name__ == "__main__":
    harness.main()
