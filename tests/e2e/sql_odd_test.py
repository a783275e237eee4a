#!/usr/bin/env python3
"""Views and queries in PostgreSQL whose names, keys and numbers are unusual: each is served as it is, or refused in words."""
import decimal
import json
import unittest
import urllib.parse

import harness
import sql_shop
from postgres import Postgres

DECIDER = """
local thing = aggregate "thing"
thing.initial = {}
function thing.decide.Put(state, command) return event("Kept", command) end
function thing.evolve.Kept(state, data) end
"""

# The names that the service itself uses around a view's and a query's own are among the columns.
NAMES = ("r", "s", "q", "t", "v", "k", "document", "position", "generation", "view")

VIEWS = {
    "named": "CREATE TABLE named (id text PRIMARY KEY, " + ", ".join(f"{name} text" for name in NAMES) + ");\n"
             "-- on: Kept\n"
             f"INSERT INTO named VALUES (:aggregate_id, {', '.join(':name' for _ in NAMES)});\n",
    "sized": "CREATE TABLE sized (id text PRIMARY KEY, amount numeric, whole jsonb);\n"
             "-- on: Kept\n"
             "INSERT INTO sized VALUES (:aggregate_id, :amount::text::numeric, :data::jsonb);\n",
    "paired": "CREATE TABLE paired (id text, n bigint, PRIMARY KEY (id, n));\n"
              "-- on: Kept\n"
              "INSERT INTO paired SELECT 'p', generate_series(1, 16) ON CONFLICT DO NOTHING;\n",
}

QUERIES = {
    "named": "SELECT id AS q, r, s FROM named",
    "summed": "SELECT sum(amount) AS total, count(*) * 10000000000::numeric * 10000000000 AS large FROM sized",
    "double": "SELECT 1 AS a, 2 AS a",
}

AMOUNTS = {"whole": "100000000000000000001", "cents": "90071992547409930.01", "fraction": "0.12345678901234567890",
           "beyond": "1" + "0" * 400, "short": "12.50"}


def write_domain(folder):
    for name in ("schemas/commands", "schemas/events", "views", "queries"):
        (folder / name).mkdir(parents=True)
    (folder / "domain.json").write_text('{"name": "odd", "aggregates": {"thing": {}}}')
    (folder / "thing.lua").write_text(DECIDER)
    (folder / "schemas/commands/Put.json").write_text('{"type": "object"}')
    (folder / "schemas/events/Kept.json").write_text('{"type": "object"}')
    for name, text in VIEWS.items():
        (folder / f"views/{name}.sql").write_text(f"-- view: {name}\n-- version: 1\n-- table:\n{text}")
    for name, text in QUERIES.items():
        (folder / f"queries/{name}.sql").write_text(f"-- query: {name}\n{text}\n")
    return folder


class SqlOdd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.domain = write_domain(folder / "domain")
        cls.uri = sql_shop.make_database(cls.server, "odd")
        cls.node = cls.stack.enter_context(sql_shop.serve(folder, cls.uri, cls.domain))
        for name, amount in AMOUNTS.items():
            told = cls.node.command("thing", name, "Put", {"amount": amount, "name": name, "large": 1e20})
            assert told.status < 300, told.body
        sql_shop.wait_for_views(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def get(self, path, status=200):
        answer = self.node.get(path)
        self.assertEqual(answer.status, status, (path, answer.body))
        return answer

    def test_columns_may_have_the_names_that_the_service_uses(self):
        row = {"key": "short", "id": "short", **{name: "short" for name in NAMES}}
        self.assertEqual(self.get("/views/named/short").json, row)
        self.assertIn(row, self.get("/views/named").json["items"])
        some = self.get("/views/named?select=s,q&r=eq.short&order=v.desc").json["items"]
        self.assertEqual(some, [{"key": "short", "s": "short", "q": "short"}])
        self.assertIn({"q": "short", "r": "short", "s": "short"}, self.get("/queries/named").json["items"])

    def test_numbers_keep_all_their_digits(self):
        for name, amount in AMOUNTS.items():
            body = self.get(f"/views/sized/{name}").body.decode()
            spelled = {"short": "12.5"}.get(name, amount)
            self.assertIn(f'"amount":{spelled},', body)
            self.assertEqual(json.loads(body)["whole"]["large"], 1e20)
        self.assertEqual(len(self.get("/views/sized").json["items"]), len(AMOUNTS))
        found = self.get("/views/sized?amount=eq." + AMOUNTS["cents"]).json["items"]
        self.assertEqual([row["key"] for row in found], ["cents"])
        summed = self.get("/queries/summed").body.decode()
        decimal.getcontext().prec = 500
        total = sum(map(decimal.Decimal, AMOUNTS.values()))
        self.assertIn(f'"total":{total:f},', summed)
        self.assertIn('"large":5e+20', summed)

    def test_a_number_that_msgpack_has_not_is_text_there(self):
        headers = {"Accept": "application/msgpack"}
        self.assertIn(b"\xa6amount\xb490071992547409930.01", self.node.get("/views/sized/cents", **headers).body)
        self.assertIn(b"\xa6amount\xcaAH\0\0", self.node.get("/views/sized/short", **headers).body)

    def test_a_key_of_several_columns_is_compared_as_rows_are_ordered(self):
        rows = [row["n"] for row in self.get("/views/paired?order=key").json["items"]]
        self.assertEqual(rows, list(range(1, 17)))

        def numbers(test):
            return [row["n"] for row in self.get("/views/paired?key=" + urllib.parse.quote(test)).json["items"]]
        self.assertEqual(numbers('gt.["p","2"]'), list(range(3, 17)))
        self.assertEqual(numbers('lte.["p", "10"]'), list(range(1, 11)))
        self.assertEqual(numbers('eq.["p","7"]'), [7])
        self.assertEqual(numbers('neq.["p","7"]'), [n for n in range(1, 17) if n != 7])
        self.assertEqual(numbers('in.("[\\"p\\",\\"3\\"]","[\\"p\\", \\"16\\"]")'), [3, 16])
        refused = self.get("/views/paired?key=gt.p", status=400).json
        self.assertEqual(refused["type"], "/problems/bad-query")
        self.assertIn("a JSON list of 2 texts", refused["detail"])

    def test_a_query_may_have_as_many_parts_as_in_lua(self):
        parts = ",".join(f"n.eq.{n}" for n in range(100, 227))
        found = self.get(f"/views/paired?or=({parts},n.eq.5)&id=neq.x&order=n.desc").json["items"]
        self.assertEqual([row["n"] for row in found], [5])

    def test_two_columns_of_one_name_are_the_querys_fault(self):
        refused = self.get("/queries/double", status=500).json
        self.assertEqual(refused["type"], "/problems/internal")
        self.assertIn("query double", refused["detail"])

    def test_a_parameter_without_a_name_is_refused(self):
        self.assertEqual(self.get("/views/named?=eq.short", status=400).json["type"], "/problems/bad-query")

    def test_a_column_that_the_key_would_hide_is_a_fault_of_the_view(self):
        with harness.folder() as folder:
            domain = write_domain(folder / "domain")
            path = domain / "views/sized.sql"
            path.write_text(path.read_text().replace("amount numeric", "key numeric"))
            checked = harness.run("check", domain, "--postgres", self.uri)
            self.assertNotEqual(checked.returncode, 0, checked.stdout)
            self.assertIn('views/sized.sql:1: view "sized" has a column "key" that is not its key', checked.stdout)


if __name__ == "__main__":
    harness.main()
