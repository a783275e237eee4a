#!/usr/bin/env python3
"""`cairn replay` and `cairn verify` of views in PostgreSQL."""
import json

import harness
import sql_shop
from replay_cases import ReplayCases
from sql_shop import view_state, wait_until


class SqlReplay(ReplayCases, sql_shop.Databases):
    view = "customer_totals"
    file = "views/customer_totals.sql"
    edits = (("(:customer, 1, ", "(:customer, 1001, "), ("+ excluded.lines", "+ excluded.lines - 1000"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare(cls.folder)

    def flags(self):
        return ("--postgres", self.uri)

    def forget(self):
        self.sql("DROP SCHEMA shop CASCADE")

    def scratch_places(self):
        return self.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%check%' UNION ALL "
                        "SELECT view FROM shop._cairn_view WHERE side = 'check'").split()

    def wait_for_builders(self):
        sql_shop.wait_for_builders(self.server)

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
        self.sql(f"UPDATE shop.customer_totals SET lines = lines + 1 WHERE customer = '{name}';"
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
        schemas = self.sql("SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace "
                           "WHERE nspname LIKE 'shop%'")
        self.assertEqual(schemas, "shop shop_old_customer_totals")
        self.check_a_rollback_takes_no_side()
        self.replay("--drop")
        self.assertEqual(self.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shop%'"), "1")

    def check_a_rollback_takes_no_side(self):
        """It puts the wrong rows back here, and the right ones there, and knows nothing of either."""
        for _ in range(2):
            done = self.replay("--rollback")
            self.assertRegex(done.stdout, r"the generation that was live had other rows: \d+, checksum [0-9a-f]{16}; "
                             r"now \d+, checksum [0-9a-f]{16}; cairn verify says which is what the log gives")
            self.assertNotIn("NOT what the log gives", done.stdout)
        told = json.loads(self.replay("--rollback", "--json").stdout)
        self.assertFalse(told["same"])
        self.assertNotEqual(told["before"]["checksum"], told["after"]["checksum"])
        self.verify(*self.flags(), "--view", self.view, status=1)
        self.replay("--rollback")
        self.verify(*self.flags(), "--view", self.view)

    def test_a_view_that_is_not_built_is_told_and_the_rest_is_compared(self):
        self.begin()
        self.sql("DELETE FROM shop._cairn_view WHERE view = 'kept_goods'")
        told = self.verify(*self.flags(), status=1)
        self.assertRegex(told.stdout, "view kept_goods: not compared: .*no projector has built the view yet")
        self.assertRegex(told.stdout, r"view order_lines: \d+ rows against \d+ events, 0 differences")
        self.assertNotIn("all is well", told.stdout)
        named = self.verify("--view", self.view, status=1)
        self.assertEqual(named.stdout, "")
        self.assertIn("give --postgres", named.stderr)

    def test_what_keeps_the_service_from_its_switch_is_told_to_who_replays(self):
        self.begin()
        self.change()
        self.sql("CREATE VIEW public.mine AS SELECT customer FROM shop.customer_totals")
        with self.serve() as node:
            told = wait_until(lambda: view_state(node, self.view).get("error"), "the switch is put off")
            self.assertIn("view public.mine stands on the live tables", told["detail"])
            self.assertTrue(view_state(node, self.view)["rebuild"]["active"])
            refused = self.replay(status=1)
            self.assertIn("another process has built it", refused.stderr)
            self.assertIn("view public.mine stands on the live tables", refused.stderr)
            self.sql("DROP VIEW public.mine")
            wait_until(lambda: self.generation(node) == 2, "it switches by itself")
            self.check_rows(node, plus=1000)

    def test_what_stands_on_the_live_tables_is_told_and_the_build_is_kept(self):
        self.begin()
        self.sql("CREATE VIEW public.mine AS SELECT customer FROM shop.customer_totals")
        refused = self.replay(status=1)
        self.assertIn("built and kept, but not switched", refused.stderr)
        self.assertIn("view public.mine stands on the live tables", refused.stderr)
        self.sql("DROP VIEW public.mine")
        self.assertTrue(json.loads(self.replay("--json").stdout)["resumed"])

    def test_without_a_database_it_says_what_it_needs(self):
        self.begin()
        done = harness.run("replay", self.view, self.domain, "--data", self.home / "data")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--postgres", done.stderr)


if __name__ == "__main__":
    harness.main()
