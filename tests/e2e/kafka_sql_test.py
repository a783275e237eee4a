#!/usr/bin/env python3
"""Views in PostgreSQL from a log on Kafka: two nodes feed one database and double nothing, and the totals are those of the
embedded log, row for row."""
import unittest

import harness
import kafka
import retail_test
import sql_shop
import sql_twins
from postgres import Postgres
from harness import wait_until
from sql_shop import psql, walk

LINES, SEED = 1500, 11
TABLES = {
    "customer_totals": "customer, lines, quantity, amount_mills",
    "daily_turnover": "day, lines, amount_mills",
    "kept_goods": "invoice, stock_code, customer, quantity",
    "order_lines": "invoice, line, stock_code, description, quantity, price_mills, customer, country, invoiced_at",
}


class KafkaSql(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.broker = cls.stack.enter_context(kafka.Broker())
        cls.commands, cls.totals = sql_shop.make_commands(cls.folder, LINES, SEED)
        cls.domain = sql_twins.shop_with_twins(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def node(self, name, database, flags=()):
        uri = sql_shop.database_uri(self.server, database)
        return harness.Node(self.domain, self.folder / name, flags=("--postgres", uri, *flags))

    def rows(self, database, table):
        return psql(self.server, database, f"SELECT {TABLES[table]} FROM shop.{table} ORDER BY 1, 2")

    def rebuild(self, view, name, database, log):
        """`cairn replay` beside two nodes that serve and feed the view."""
        uri = sql_shop.database_uri(self.server, database)
        done = sql_shop.replay(view, self.domain, "--data", self.folder / name, "--postgres", uri, *log)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the rows before were the same", done.stdout)

    def wait_for_all(self, node):
        """Waits until a node knows of every event, also of those that the other wrote."""
        wait_until(lambda: sum(row["lines"] for row in walk(node, "/views/countries?limit=1000")) == self.totals["accepted"],
                   "all events are in the views in Lua")

    def test_both_logs_give_the_same_rows(self):
        sql_shop.make_database(self.server, "files")
        sql_shop.make_database(self.server, "topics")
        with self.node("files", "files") as node:
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
            node.wait_for_views()
            in_files = sql_twins.check_twins(self, node, retail_test.end_of_log(node))
        log = ("--log", f"kafka:{self.broker.bootstrap}")
        with self.node("one", "topics", log) as one, self.node("two", "topics", log) as two:
            sql_shop.send(one, self.commands)
            for node in (one, two):
                self.wait_for_all(node)
                sql_shop.check_totals(self, node, self.totals)
                self.assertEqual(sql_twins.check_twins(self, node, retail_test.end_of_log(node)), in_files)
            two.wait_for_views()
            for view in ("customers", "customer_totals"):
                self.rebuild(view, "two", "topics", log)
            for node in (one, two):
                self.assertEqual(sql_twins.check_twins(self, node, retail_test.end_of_log(node)), in_files)
            one.kill()
            told = wait_until(lambda: self.add_line(two), "the other node takes over")
            for view in TABLES:
                held = two.get(f"/views/{view}?limit=1", Cairn_Position=told)
                self.assertEqual(held.status, 200, held.body)
            found = two.get("/views/customer_totals/late", Cairn_Position=told)
            self.assertEqual((found.status, found.json.get("amount_mills")), (200, 10), found.body)
            psql(self.server, "topics", "DELETE FROM shop.order_lines WHERE customer = 'late';"
                 "DELETE FROM shop.customer_totals WHERE customer = 'late';"
                 "DELETE FROM shop.kept_goods WHERE customer = 'late';"
                 "DELETE FROM shop.daily_turnover WHERE day = '1999-01-01'")
        for table in TABLES:
            self.assertEqual(self.rows("topics", table), self.rows("files", table), table)

    @staticmethod
    def add_line(node):
        told = node.command("invoice", "late", "AddLine", {
            "stock_code": "X", "description": "", "quantity": 2, "price_mills": 5, "customer": "late",
            "country": "Norge", "invoiced_at": "1999-01-01T00:00:00Z"}, Idempotency_Key="late")
        return told.headers["cairn-position"] if told.status < 300 else None


if __name__ == "__main__":
    harness.main()
