#!/usr/bin/env python3
"""`cairn replay` and `cairn verify` of views in PostgreSQL."""
import unittest

import harness
import sql_shop
from postgres import Postgres
from replay_cases import ReplayCases
from sql_shop import psql


class SqlReplay(ReplayCases, unittest.TestCase):
    view = "customer_totals"
    file = "views/customer_totals.sql"
    edits = (("(:customer, 1, ", "(:customer, 1001, "), ("+ excluded.lines", "+ excluded.lines - 1000"))

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.prepare(folder)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.name = "r_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = sql_shop.make_database(self.server, self.name)

    def flags(self):
        return ("--postgres", self.uri)

    def forget(self):
        psql(self.server, self.name, "DROP SCHEMA shop CASCADE")

    def verify(self, *flags, status=0):
        done = harness.run("verify", self.domain, "--data", self.home / "data", *flags)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_rows_that_are_not_what_the_log_gives_are_found_and_mended(self):
        self.begin()
        clean = self.verify(*self.flags())
        self.assertRegex(clean.stdout, rf"view customer_totals: {len(self.customers)} rows against \d+ events, 0 differences")
        self.assertRegex(clean.stdout, r"view order_lines: \d+ rows against \d+ events, 0 differences")
        self.assertIn("all is well", clean.stdout)
        self.assertIn("not verified without --postgres", self.verify().stdout)
        name, other = list(self.customers)[:2]
        psql(self.server, self.name, f"UPDATE shop.customer_totals SET lines = lines + 1 WHERE customer = '{name}';"
             f"DELETE FROM shop.customer_totals WHERE customer = '{other}';"
             "INSERT INTO shop.customer_totals VALUES ('nobody', 1, 2, 3)")
        told = self.verify(*self.flags(), "--view", self.view, status=1)
        self.assertIn("3 differences", told.stdout)
        for key in (name, other, "nobody"):
            self.assertIn(key, told.stdout)
        done = self.replay()
        self.assertIn("the rows before were NOT what the log gives", done.stdout)
        self.verify(*self.flags())
        with self.serve() as node:
            self.check_rows(node)
        schemas = psql(self.server, self.name, "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace "
                       "WHERE nspname LIKE 'shop%'")
        self.assertEqual(schemas, "shop shop_old_customer_totals")
        self.replay("--drop")
        self.assertEqual(psql(self.server, self.name, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shop%'"), "1")

    def test_a_view_that_is_not_built_is_told_and_the_rest_is_compared(self):
        self.begin()
        psql(self.server, self.name, "DELETE FROM shop._cairn_view WHERE view = 'kept_goods'")
        told = self.verify(*self.flags(), status=1)
        self.assertRegex(told.stdout, "view kept_goods: not compared: .*no projector has built the view yet")
        self.assertRegex(told.stdout, r"view order_lines: \d+ rows against \d+ events, 0 differences")
        self.assertNotIn("all is well", told.stdout)
        named = self.verify("--view", self.view, status=1)
        self.assertEqual(named.stdout, "")
        self.assertIn("give --postgres", named.stderr)

    def test_without_a_database_it_says_what_it_needs(self):
        self.begin()
        done = harness.run("replay", self.view, self.domain, "--data", self.home / "data")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--postgres", done.stderr)


if __name__ == "__main__":
    harness.main()
