#!/usr/bin/env python3
"""Views and named queries in PostgreSQL: right, fresh and in pages."""
import unittest
import urllib.parse

import harness
import retail_test
import sql_shop
from postgres import Postgres
from sql_shop import SHOP, psql, serve, walk

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
        cls.node.wait_for_views()
        cls.position = retail_test.end_of_log(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def get(self, path, **headers):
        return self.node.get(path, Cairn_Position=self.position, **headers)

    def problem(self, path, status, slug):
        answer = self.get(path)
        self.assertEqual((answer.status, answer.json["type"]), (status, f"/problems/{slug}"), answer.body)
        return answer.json.get("detail", "")

    def test_rows_are_those_of_the_views_in_lua(self):
        sql_shop.check_totals(self, self.node, self.totals)

    def test_a_command_is_seen_by_who_sends_its_position(self):
        (self.folder / "own").mkdir()
        with serve(self.folder / "own", sql_shop.make_database(self.server, "own")) as node:
            node.wait_for_views()
            self.write_and_read(node)

    def write_and_read(self, node):
        for number in range(20):
            customer = f"own-{number}"
            told = node.command("invoice", f"own-{number}", "AddLine", {
                "stock_code": "X", "description": "", "quantity": 2, "price_mills": 5, "customer": customer,
                "country": "Norge", "invoiced_at": "2020-01-01T00:00:00Z"})
            self.assertLess(told.status, 300, told.body)
            position = told.headers["cairn-position"]
            row = node.get(f"/views/customer_totals/{customer}", Cairn_Position=position)
            self.assertEqual((row.status, row.json.get("amount_mills")), (200, 10), row.body)
            found = node.get("/queries/top_customers?country=Norge&least=10", Cairn_Position=position)
            self.assertEqual(found.status, 200, found.body)
            self.assertIn(customer, [one["customer"] for one in found.json["items"]])

    def test_a_key_that_no_row_can_have_is_not_there_as_of_a_position(self):
        for path in ("/views/order_lines/536365", "/views/order_lines/%5B%22536365%22%5D", "/views/order_lines/%5B1,2%5D",
                     "/views/order_lines/%5B%22536365%22,%22one%22%5D"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.json["type"]), (404, "/problems/not-found"), (path, answer.body))
            self.assertEqual(answer.headers["cairn-position"], self.position, path)
            self.assertEqual(answer.json["position"], self.position, path)

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
        cls.node.wait_for_views()

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


if __name__ == "__main__":
    harness.main()
