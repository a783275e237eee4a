#!/usr/bin/env python3
"""The whole retail file through views in LMDB and in PostgreSQL: the same rows, and what an independent program says."""
import unittest

import harness
import retail_test
import sql_shop
import sql_twins
from postgres import Postgres


class SqlRetail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.commands, cls.totals = retail_test.prepare(cls.folder)
        cls.server = cls.stack.enter_context(Postgres())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def test_both_stores_hold_the_same_rows_and_verify(self):
        domain = sql_twins.shop_with_twins(self.folder)
        uri = sql_shop.make_database(self.server, "retail")
        flags = ("--postgres", uri)
        with harness.Node(domain, self.folder / "data", flags=flags) as node:
            done, _ = retail_test.send(node, self.commands)
            self.assertEqual(done.returncode, 0, done.stderr)
            position = retail_test.end_of_log(node)
            node.wait_for_views()
            count = sql_twins.check_twins(self, node, position)
            self.assertEqual(count, sum(len(rows) for rows in self.totals["views"].values()))
            for view, rows in self.totals["views"].items():
                expected = {key: {m: row[m] for m in retail_test.MEASURES} for key, row in rows.items()}
                self.assertEqual(retail_test.read_view(node, sql_twins.twin_of(view), position), expected, view)
        verified = harness.run("verify", domain, "--data", self.folder / "data", *flags)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        self.assertEqual(verified.stdout.count(", 0 differences"), 12)


if __name__ == "__main__":
    harness.main()
