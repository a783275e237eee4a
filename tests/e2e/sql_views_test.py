#!/usr/bin/env python3
"""Views and named queries in PostgreSQL: right, fresh, in pages, and changed while people read."""
import json
import threading
import unittest
import urllib.parse

import harness
import retail_test
import sql_shop
from postgres import Postgres
from sql_shop import SHOP, psql, serve, view_state, wait_until, walk

LINES, SEED = 1500, 7


def top_customers(totals, least=0):
    rows = [(-row["amount_mills"], key) for key, row in totals["views"]["customers"].items()
            if row["amount_mills"] >= least]
    return [(key, -amount) for amount, key in sorted(rows)]


class SqlViews(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.commands, cls.totals = sql_shop.make_commands(cls.folder, LINES, SEED)
        cls.uri = sql_shop.make_database(cls.server, "shared")
        cls.node = cls.stack.enter_context(serve(cls.folder, cls.uri))
        sql_shop.send(cls.node, cls.commands)
        cls.position = retail_test.end_of_log(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def get(self, path, **headers):
        return self.node.get(path, Cairn_Position=self.position, Prefer="wait=60", **headers)

    def problem(self, path, status, slug):
        answer = self.get(path)
        self.assertEqual((answer.status, answer.json["type"]), (status, f"/problems/{slug}"), answer.body)
        return answer.json.get("detail", "")

    # ---- rows

    def test_rows_are_those_of_the_views_in_lua(self):
        sql_shop.check_totals(self, self.node, self.totals)

    def test_a_command_is_seen_by_who_sends_its_position(self):
        (self.folder / "own").mkdir()
        with serve(self.folder / "own", sql_shop.make_database(self.server, "own")) as node:
            self.write_and_read(node)

    def write_and_read(self, node):
        for number in range(20):
            customer = f"own-{number}"
            told = node.command("invoice", f"own-{number}", "AddLine", {
                "stock_code": "X", "description": "", "quantity": 2, "price_mills": 5, "customer": customer,
                "country": "Norge", "invoiced_at": "2020-01-01T00:00:00Z"})
            self.assertLess(told.status, 300, told.body)
            position = told.headers["cairn-position"]
            row = node.get(f"/views/customer_totals/{customer}", Cairn_Position=position, Prefer="wait=60")
            self.assertEqual((row.status, row.json.get("amount_mills")), (200, 10), row.body)
            found = node.get("/queries/top_customers?country=Norge&least=10", Cairn_Position=position,
                                  Prefer="wait=60")
            self.assertEqual(found.status, 200, found.body)
            self.assertIn(customer, [one["customer"] for one in found.json["items"]])

    def test_filters_order_and_pages_select_what_they_say(self):
        rows = walk(self.node, "/views/order_lines?limit=1000", self.position)
        mine = [row for row in rows if row["country"] == "Germany" and row["quantity"] >= 3]
        mine.sort(key=lambda row: (-row["price_mills"], row["invoice"], row["line"]), reverse=False)
        path = "/views/order_lines?country=eq.Germany&quantity=gte.3&order=price_mills.desc&limit=7"
        found = walk(self.node, path, self.position)
        self.assertEqual([row["price_mills"] for row in found], [row["price_mills"] for row in mine])
        self.assertEqual({row["key"] for row in found}, {row["key"] for row in mine})
        self.assertEqual(len(found), len(mine))
        self.assertGreater(len(found), 14)

    # ---- named queries

    def test_a_query_answers_with_its_rows_in_order(self):
        found = walk(self.node, "/queries/top_customers", self.position)
        self.assertEqual([(row["customer"], row["amount_mills"]) for row in found], top_customers(self.totals))

    def test_pages_of_a_query_leave_nothing_out(self):
        whole = walk(self.node, "/queries/top_customers?least=1", self.position)
        pages = walk(self.node, "/queries/top_customers?least=1&limit=3", self.position)
        self.assertEqual(pages, whole)
        self.assertGreater(len(pages), 6)

    def test_a_query_answers_in_msgpack_and_by_its_tag(self):
        first = self.get("/queries/top_customers?limit=2", Accept="application/msgpack")
        self.assertEqual(first.headers["content-type"], "application/msgpack")
        self.assertEqual(first.body[0], 0x82)
        again = self.get("/queries/top_customers?limit=2", Accept="application/msgpack",
                         If_None_Match=first.headers["etag"])
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertIn("cairn-position", first.headers)

    def test_a_bad_parameter_is_named_with_its_type(self):
        detail = self.problem("/queries/top_customers?least=many", 400, "bad-query")
        self.assertIn('"least"', detail)
        self.assertIn("integer", detail)
        self.assertIn('"colour"', self.problem("/queries/top_customers?colour=1", 400, "bad-query"))
        self.assertIn("twice", self.problem("/queries/top_customers?least=1&least=2", 400, "bad-query"))
        self.assertIn('"limit"', self.problem("/queries/top_customers?limit=101", 400, "bad-query"))
        self.assertIn("cursor", self.problem("/queries/top_customers?cursor=AAAA", 400, "bad-query"))
        self.assertIn('"least"', self.problem("/queries/top_customers?least=99999999999999999999", 400, "bad-query"))
        self.problem("/queries/none", 404, "not-found")

    def test_a_value_is_never_part_of_the_statement(self):
        for text in ("'; DROP SCHEMA shop CASCADE; --", "' OR '1'='1", "$1", ":least", "\\"):
            answer = self.get("/queries/top_customers?country=" + urllib.parse.quote(text))
            self.assertEqual((answer.status, answer.json), (200, {"items": []}), answer.body)
        self.assertEqual(self.get("/queries/top_customers?limit=1").status, 200)

    def test_a_position_that_is_not_there_is_waited_for_and_then_refused(self):
        answer = self.node.get("/queries/top_customers", Cairn_Position="0:999999999", Prefer="wait=0")
        self.assertEqual((answer.status, answer.json["type"]), (503, "/problems/view-behind"), answer.body)
        self.assertIn("retry-after", answer.headers)
        self.assertIn("cairn-position", answer.headers)

    def test_without_a_database_queries_say_so(self):
        with harness.Node(SHOP, self.folder / "without") as node:
            answer = node.get("/queries/top_customers")
            self.assertEqual(answer.status, 501, answer.body)
            self.assertIn("--postgres", answer.json["detail"])


class SqlQueries(unittest.TestCase):
    """Queries of a domain of the test's own: types, defaults, nulls in the order, mixed directions, timeouts."""

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.domain = sql_shop.copy_shop(cls.folder)
        for name, text in QUERIES.items():
            (cls.domain / "queries" / f"{name}.sql").write_text(text)
        cls.uri = sql_shop.make_database(cls.server, "queries")
        checked = harness.run("check", cls.domain, "--postgres", cls.uri)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        cls.node = cls.stack.enter_context(serve(cls.folder, cls.uri, cls.domain))
        wait_until(lambda: (view_state(cls.node, "order_lines") or {}).get("state") == "live", "order_lines is live")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def items(self, path):
        answer = self.node.get(path)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["items"]

    def test_declared_types_hold_and_defaults_apply(self):
        self.assertEqual(self.items("/queries/typed?needed=3"), [
            {"a": "bigint", "b": "numeric", "c": "text", "d": "boolean", "e": "date", "f": "timestamp with time zone",
             "g": "uuid", "h": "it's", "n": 3, "nothing": True}])
        missing = self.node.get("/queries/typed")
        self.assertEqual(missing.status, 400, missing.body)
        self.assertIn('"needed"', missing.json["detail"])
        for wrong in ("b=1,5", "d=yes", "e=2020-02-30", "f=noon", "g=1", "j={"):
            answer = self.node.get("/queries/typed?needed=1&" + wrong)
            self.assertEqual(answer.status, 400, (wrong, answer.body))
            self.assertIn(f'"{wrong[0]}"', answer.json["detail"])

    def test_pages_pass_nulls_and_mixed_directions(self):
        whole = self.items("/queries/holes")
        self.assertEqual(len(whole), 60)
        for limit in (1, 7, 59):
            self.assertEqual(walk(self.node, f"/queries/holes?limit={limit}"), whole, limit)

    def test_rows_of_equal_order_are_never_lost_between_pages(self):
        self.assertEqual(len(walk(self.node, "/queries/ties?limit=5")), 12)
        answer = self.node.get("/queries/ties?limit=2")
        self.assertEqual(answer.status, 500, answer.body)

    def test_without_an_order_there_is_one_page_and_no_cursor(self):
        answer = self.node.get("/queries/unordered?limit=3")
        self.assertEqual((len(answer.json["items"]), "next" in answer.json), (3, False))
        self.assertEqual(self.node.get("/queries/unordered?cursor=AAAA").status, 400)

    def test_a_query_that_takes_too_long_is_ended(self):
        answer = self.node.get("/queries/slow")
        self.assertEqual((answer.status, answer.json["type"]), (503, "/problems/timed-out"), answer.body)
        self.assertIn("200 ms", answer.json["detail"])
        self.assertEqual(len(self.items("/queries/unordered")), 10)

    def test_a_query_cannot_write(self):
        answer = self.node.get("/queries/writing")
        self.assertEqual(answer.status, 500, answer.body)
        self.assertEqual(psql(self.server, "queries", "SELECT count(*) FROM pg_class WHERE relname = 'made_by_query'"),
                         "0")

    def test_a_value_that_only_the_server_can_refuse_is_the_requests_fault(self):
        answer = self.node.get("/queries/divide?by=0")
        self.assertEqual((answer.status, answer.json["type"]), (400, "/problems/bad-query"), answer.body)


QUERIES = {
    "typed": """-- query: typed
-- param: a integer = 1
-- param: b number = 1.5
-- param: c text = null
-- param: d boolean = true
-- param: e date = 2020-01-01
-- param: f timestamp = 2020-01-01T00:00:00Z
-- param: g uuid = 00000000-0000-0000-0000-000000000000
-- param: h text = 'it''s'
-- param: j json = {}
-- param: needed integer
SELECT pg_typeof(:a)::text AS a, pg_typeof(:b)::text AS b, pg_typeof(:c)::text AS c, pg_typeof(:d)::text AS d,
    pg_typeof(:e)::text AS e, pg_typeof(:f)::text AS f, pg_typeof(:g)::text AS g, :h AS h, :needed AS n,
    :c IS NULL AS nothing
WHERE :j::text IS NOT NULL -- a remark at the end
""",
    "holes": """-- query: holes
-- order: third desc, half, n desc
SELECT nullif(n % 3, 0) AS third, nullif(n % 2, 0)::text AS half, n FROM generate_series(1, 60) AS n
""",
    "ties": """-- query: ties
-- order: grade
SELECT n / 4 AS grade, n FROM generate_series(0, 11) AS n
""",
    "unordered": """-- query: unordered
WITH numbers AS (SELECT n FROM generate_series(1, 10) AS n) SELECT n FROM numbers
""",
    "slow": """-- query: slow
-- timeout: 200
SELECT pg_sleep(60)::text AS slept
""",
    "writing": """-- query: writing
SELECT query_to_xml('CREATE TABLE made_by_query (n int)', true, true, '')::text AS made
""",
    "divide": """-- query: divide
-- param: by integer
SELECT 1 / :by AS result
""",
}


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


class SqlChange(unittest.TestCase):
    """Definitions that change, fail, leave; a role of few rights."""

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.commands, cls.totals = sql_shop.make_commands(cls.folder, 1200, 8)
        cls.lines = len(cls.commands.read_text().splitlines())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.name = "d_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = sql_shop.make_database(self.server, self.name)
        self.home = self.folder / self.name
        self.home.mkdir()
        self.domain = sql_shop.copy_shop(self.home)

    def edit(self, path, *changes):
        text = (self.domain / path).read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.domain / path).write_text(text)

    def sql(self, text):
        return psql(self.server, self.name, text)

    def test_a_changed_definition_is_switched_under_readers(self):
        with serve(self.home, self.uri, self.domain) as node:
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
        total = sum(row["lines"] for row in self.totals["views"]["customers"].values())
        self.edit("views/customer_totals.sql", ("-- version: 1", "-- version: 2"),
                  ("CREATE INDEX ON", "ALTER TABLE customer_totals ADD COLUMN again text DEFAULT 'yes';\nCREATE INDEX ON"))
        with serve(self.home, self.uri, self.domain) as node:
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
        self.assertEqual(self.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shop%'"), "1")

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
        with serve(self.home, self.uri, self.domain) as node:
            wait_until(lambda: view_state(node, "customer_totals")["state"] == "live", "the view is live")
            for number in range(5):
                node.command("invoice", f"i{number}", "AddLine", {**one, "customer": f"c{number}"})
            bad = node.command("invoice", "bad", "AddLine", {**one, "quantity": 77})
            self.assertLess(bad.status, 300, bad.body)
            event = [line for line in node.get("/events?limit=100").json["items"]][-1]["id"]
            after = node.command("invoice", "i9", "AddLine", {**one, "customer": "c9"}).headers["cairn-position"]
            state = wait_until(lambda: (lambda s: s["state"] == "stopped" and s)(view_state(node, "customer_totals")),
                               "the view stops")
            self.assertEqual(state["error"]["event"], event)
            self.assertIn("line ", state["error"]["detail"])
            self.assertIn("check constraint", state["error"]["detail"])
            self.assertEqual(state["rows"], 5)
            lines = node.get("/views/order_lines", Cairn_Position=after, Prefer="wait=60")
            self.assertEqual((lines.status, len(lines.json["items"])), (200, 7))
            stopped = node.get("/views/customer_totals")
            self.assertEqual(stopped.headers["cairn-view-state"], "stopped")
            behind = node.get("/views/customer_totals", Cairn_Position=after, Prefer="wait=60")
            self.assertEqual(behind.status, 503, behind.body)
        self.sql("ALTER TABLE shop.customer_totals DROP CONSTRAINT customer_totals_quantity_check")
        with serve(self.home, self.uri, self.domain) as node:
            wait_until(lambda: view_state(node, "customer_totals")["state"] == "live", "the view goes on")
            found = node.get("/views/customer_totals", Cairn_Position=after, Prefer="wait=60")
            self.assertEqual((found.status, len(found.json["items"])), (200, 7), found.body)

    def test_a_view_that_leaves_is_dropped(self):
        with serve(self.home, self.uri, self.domain) as node:
            wait_until(lambda: (view_state(node, "kept_goods") or {}).get("state") == "live", "kept_goods is live")
        self.sql("CREATE TABLE shop.of_somebody_else (n int)")
        (self.domain / "views/kept_goods.sql").unlink()
        with serve(self.home, self.uri, self.domain) as node:
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
        with serve(self.home, uri, self.domain) as node:
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
            self.assertEqual(node.get("/queries/top_customers").status, 200)
        self.edit("views/kept_goods.sql", ("-- version: 1", "-- version: 2"))
        with serve(self.home, uri, self.domain) as node:
            wait_until(lambda: view_state(node, "kept_goods")["generation"] == 2, "the switch")


if __name__ == "__main__":
    harness.main()
