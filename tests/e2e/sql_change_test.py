#!/usr/bin/env python3
"""SQL that is checked, definitions that change while people read, fail or leave, and a role of few rights."""
import threading
import unittest

import harness
import sql_shop
from postgres import Postgres
from harness import wait_until
from sql_shop import SHOP, psql, view_state


class SqlCheck(unittest.TestCase):
    """`cairn check --postgres` names file and line of what the server refuses, and leaves nothing behind."""

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.uri = sql_shop.make_database(cls.server, "checked")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def check(self, domain, *flags):
        return harness.run("check", domain, *flags)

    def test_the_shop_passes_and_leaves_nothing(self):
        done = self.check(SHOP, "--postgres", self.uri)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("not prepared", done.stdout)
        self.assertEqual(psql(self.server, "checked",
                              "SELECT count(*) FROM pg_namespace WHERE nspname ~ 'cairn|shop'"), "0")

    def test_without_a_database_it_says_what_was_not_done(self):
        done = self.check(SHOP)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("not prepared", done.stdout)

    def refused(self, path, old, new, line, word):
        with harness.folder() as folder:
            domain = sql_shop.copy_shop(folder)
            text = (domain / path).read_text()
            self.assertIn(old, text)
            (domain / path).write_text(text.replace(old, new, 1))
            done = self.check(domain, "--postgres", self.uri)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(f"{path}:{line}: ", done.stdout)
            self.assertIn(word, done.stdout)

    def test_a_fault_of_the_ddl_has_its_line(self):
        self.refused("views/customer_totals.sql", "lines bigint NOT NULL", "lines bygint NOT NULL", 7, "bygint")

    def test_a_fault_of_a_statement_has_its_line(self):
        self.refused("views/customer_totals.sql", "lines = customer_totals.lines + excluded.lines",
                     "lines = customer_totals.rows + excluded.lines", 17, "rows")

    def test_a_key_that_is_not_unique_has_its_line(self):
        self.refused("views/order_lines.sql", "-- key: invoice, line", "-- key: invoice", 4, "is not unique")

    def test_a_key_that_may_be_null_or_is_not_there_has_its_line(self):
        self.refused("views/order_lines.sql", "-- key: invoice, line", "-- key: invoice, lines", 4, "not there: lines")
        self.refused("views/customer_totals.sql", "-- table:\nCREATE TABLE customer_totals (\n    customer text PRIMARY KEY",
                     "-- key: customer\n-- table:\nCREATE TABLE customer_totals (\n    customer text UNIQUE", 4,
                     "not NOT NULL: customer")

    def test_a_table_of_another_view_is_not_there(self):
        self.refused("views/customer_totals.sql", "-- on: LineAdded\n",
                     "-- on: LineAdded\nDELETE FROM kept_goods WHERE false;\n", 14, "kept_goods")

    def test_a_fault_of_a_query_has_its_line(self):
        self.refused("queries/top_customers.sql", "sum(quantity) AS quantity", "sum(quantities) AS quantity", 7,
                     "quantities")

    def test_an_order_by_no_column_of_the_result_is_a_fault(self):
        self.refused("queries/top_customers.sql", "-- order: amount_mills desc", "-- order: spent desc", 7, "spent")

    def test_a_server_that_is_not_there_is_no_fault_of_the_domain(self):
        done = self.check(SHOP, "--postgres", "postgresql://nobody@127.0.0.1:1/none")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn("views/", done.stdout)


class SqlChange(sql_shop.Case):
    """Definitions that change, fail, leave; a role of few rights."""

    lines, seed = 1200, 8

    def test_a_changed_definition_is_switched_under_readers(self):
        with self.serve() as node:
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
        total = sum(row["lines"] for row in self.totals["views"]["customers"].values())
        self.edit("views/customer_totals.sql", ("-- version: 1", "-- version: 2"),
                  ("CREATE INDEX ON", "ALTER TABLE customer_totals ADD COLUMN again text DEFAULT 'yes';\nCREATE INDEX ON"))
        with self.serve() as node:
            stop, seen, failures = threading.Event(), [], []

            def read():
                try:
                    self.read_until(node, stop, seen, total)
                except BaseException as failure:  # told at the end
                    failures.append(failure)

            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            wait_until(lambda: failures or view_state(node, "customer_totals")["generation"] == 2, "the switch")
            wait_until(lambda: failures or any(seen), "a reader sees the new definition")
            stop.set()
            for reader in readers:
                reader.join()
            self.assertEqual(failures, [])
            sql_shop.check_totals(self, node, self.totals)
        self.assertEqual(self.sql("SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE "
                                  "'shop%'"), "shop,shop_old_customer_totals")

    def read_until(self, node, stop, seen, total):
        """What is read is whole, and by one definition or the other; its position never goes back."""
        held = -1
        while not stop.is_set():
            page = node.get("/views/customer_totals?limit=1000")
            self.assertEqual(page.status, 200, page.body)
            at = int(page.headers["cairn-position"].partition(":")[2])
            self.assertGreaterEqual(at, held)
            held = at
            self.assertEqual(sum(row["lines"] for row in page.json["items"]), total)
            new = {"again" in row for row in page.json["items"]}
            self.assertEqual(len(new), 1)
            seen.append(new.pop())

    def test_a_statement_that_fails_stops_its_view_alone(self):
        self.edit("views/customer_totals.sql", ("quantity bigint NOT NULL,", "quantity bigint CHECK (quantity <> 77),"))
        one = {"stock_code": "X", "description": "", "quantity": 1, "price_mills": 5, "customer": "c",
               "country": "Norge", "invoiced_at": "2020-01-01T00:00:00Z"}
        with self.serve() as node:
            node.wait_for_views()
            for number in range(5):
                told = node.command("invoice", f"i{number}", "AddLine", {**one, "customer": f"c{number}"})
                self.assertLess(told.status, 300, told.body)
            bad = node.command("invoice", "bad", "AddLine", {**one, "quantity": 77})
            self.assertLess(bad.status, 300, bad.body)
            event = bad.json["events"][0]["id"]
            after = node.command("invoice", "i9", "AddLine", {**one, "customer": "c9"}).headers["cairn-position"]
            state = wait_until(lambda: (lambda s: s["state"] == "stopped" and s)(view_state(node, "customer_totals")),
                               "the view stops")
            self.assertEqual(state["error"]["event"], event)
            self.assertIn("line ", state["error"]["detail"])
            self.assertIn("check constraint", state["error"]["detail"])
            self.assertEqual(state["rows"], 5)
            lines = node.get("/views/order_lines", Cairn_Position=after)
            self.assertEqual((lines.status, len(lines.json["items"])), (200, 7))
            stopped = node.get("/views/customer_totals")
            self.assertEqual(stopped.headers["cairn-view-state"], "stopped")
            behind = node.get("/views/customer_totals", Cairn_Position=after)
            self.assertEqual(behind.status, 503, behind.body)
        self.sql("ALTER TABLE shop.customer_totals DROP CONSTRAINT customer_totals_quantity_check")
        with self.serve() as node:
            wait_until(lambda: view_state(node, "customer_totals")["state"] == "live", "the view goes on")
            found = node.get("/views/customer_totals", Cairn_Position=after)
            self.assertEqual((found.status, len(found.json["items"])), (200, 7), found.body)

    def test_a_view_that_leaves_is_dropped(self):
        with self.serve() as node:
            node.wait_for_views()
        self.sql("CREATE TABLE shop.of_somebody_else (n int)")
        (self.domain / "views/kept_goods.sql").unlink()
        with self.serve() as node:
            wait_until(lambda: self.sql("SELECT to_regclass('shop.kept_goods') IS NULL") == "t", "it is dropped")
            self.assertEqual(node.get("/views/kept_goods").status, 404)
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_view WHERE view = 'kept_goods'"), "0")
        self.assertEqual(self.sql("SELECT count(*) FROM shop._cairn_view"), "3")
        self.assertEqual(self.sql("SELECT to_regclass('shop.of_somebody_else') IS NULL"), "f")

    def test_a_role_that_may_only_create_schemas_is_enough(self):
        self.sql(f"CREATE ROLE little LOGIN PASSWORD 'little'; REVOKE ALL ON DATABASE {self.name} FROM PUBLIC; "
                 f"REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT CONNECT, CREATE ON DATABASE {self.name} TO little")
        uri = "postgresql://little:little@" + self.uri.rpartition("@")[2]
        checked = harness.run("check", self.domain, "--postgres", uri)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        with self.serve(uri=uri) as node:
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
            self.assertEqual(node.get("/queries/top_customers").status, 200)
        self.edit("views/kept_goods.sql", ("-- version: 1", "-- version: 2"))
        with self.serve(uri=uri) as node:
            sql_shop.wait_for_generation(node, "kept_goods", 2)


if __name__ == "__main__":
    harness.main()
