#!/usr/bin/env python3
"""What PostgreSQL refuses is said where an operator looks, harms nothing else, and passes once it is mended."""
import unittest

import harness
import sql_shop
from postgres import Postgres
from sql_shop import view_state, wait_until

DECIDER = """
local thing = aggregate "thing"
thing.initial = {}
function thing.decide.Put(state, command) return event("Kept", command) end
function thing.evolve.Kept(state, data) end
"""

GOOD = "CREATE TABLE {name} (id text PRIMARY KEY, txt text);"
PUT = "INSERT INTO {name} VALUES (:aggregate_id, :txt) ON CONFLICT (id) DO UPDATE SET txt = excluded.txt;"


def view_text(name, version=1, table=GOOD, put=PUT):
    """The DDL is on line 4, the statement behind it on line 6."""
    text = f"-- view: {name}\n-- version: {version}\n-- table:\n{table}\n-- on: Kept\n{put}\n"
    return text.replace("{name}", name)


def write_domain(folder, name, views, queries=None):
    for part in ("schemas/commands", "schemas/events", "views", "queries"):
        (folder / part).mkdir(parents=True)
    (folder / "domain.json").write_text(f'{{"name": "{name}", "aggregates": {{"thing": {{}}}}}}')
    (folder / "thing.lua").write_text(DECIDER)
    (folder / "schemas/commands/Put.json").write_text('{"type": "object"}')
    (folder / "schemas/events/Kept.json").write_text('{"type": "object"}')
    for view, text in views.items():
        (folder / f"views/{view}.sql").write_text(text)
    for query, text in (queries or {}).items():
        (folder / f"queries/{query}.sql").write_text(f"-- query: {query}\n{text}\n")
    return folder


class SqlRefused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.server.psql("CREATE ROLE little LOGIN PASSWORD 'little'")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.name = "d_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        sql_shop.make_database(self.server, self.name)
        self.sql(f"REVOKE ALL ON DATABASE {self.name} FROM PUBLIC; "
                 f"GRANT CONNECT, CREATE ON DATABASE {self.name} TO little")
        self.uri = "postgresql://little:little@" + sql_shop.database_uri(self.server, self.name).rpartition("@")[2]
        self.home = self.folder / self.name
        self.home.mkdir()

    def sql(self, text):
        return sql_shop.psql(self.server, self.name, text)

    def domain(self, views, name="zo", queries=None, folder="domain"):
        return write_domain(self.home / folder, name, views, queries)

    def serve(self, domain, verb="serve"):
        return harness.Node(domain, self.home / f"data-{domain.name}", verb=verb, flags=("--postgres", self.uri))

    def put(self, node, thing, txt="x"):
        told = node.command("thing", thing, "Put", {"txt": txt})
        self.assertLess(told.status, 300, told.body)
        return told.headers["cairn-position"]

    def read(self, node, path, position, status=200):
        answer = node.get(path, Cairn_Position=position, Prefer="wait=60")
        self.assertEqual(answer.status, status, (path, answer.body))
        return answer.json

    def wait_for_error(self, node, view, *words):
        """The view's state, once its error has all of the words."""
        def told():
            state = view_state(node, view)
            detail = (state or {}).get("error", {}).get("detail", "")
            return all(word in detail for word in words) and state
        return wait_until(told, f"{view} says {words}")

    def wait_until_well(self, node, view, generation):
        def well():
            state = view_state(node, view)
            return state["state"] == "live" and state["generation"] == generation and "error" not in state and state
        return wait_until(well, f"{view} is live, generation {generation}, and without an error")

    def wait_for_metric(self, node, metric, view, value):
        line = f'{metric}{{view="{view}"}} {value}'
        wait_until(lambda: line in node.get("/metrics").body.decode().splitlines(), line)

    # ---- definitions

    def test_a_first_build_that_is_refused_says_why_in_words_and_numbers(self):
        domain = self.domain({
            "good": view_text("good"),
            "lost": view_text("lost", put=PUT + "\nUPDATE nosuch SET a = 1;"),
            "index": view_text("index", table=GOOD + "\nCREATE INDEX ON index (nocol);"),
            "casts": view_text("casts", put="INSERT INTO {name} VALUES (:aggregate_id, :txt::nosuchtype);"),
        })
        with self.serve(domain) as node:
            position = self.put(node, "a")
            self.assertEqual(self.read(node, "/views/good/a", position)["txt"], "x")
            for view, words in {"lost": ("line 7: ", "nosuch"), "index": ("line 5: ", "nocol"),
                                "casts": ("line 6: ", "nosuchtype")}.items():
                state = self.wait_for_error(node, view, *words)
                self.assertEqual((state["state"], state["lag"]), ("building", 1))
                self.wait_for_metric(node, "cairn_view_stopped", view, 1)
                self.wait_for_metric(node, "cairn_view_lag_events", view, 1)
            self.wait_for_metric(node, "cairn_view_stopped", "good", 0)
            self.wait_for_metric(node, "cairn_view_lag_events", "good", 0)
            self.assertNotIn("error", view_state(node, "good"))
            tries = set()

            def tried():
                tries.add(self.sql("SELECT updated FROM zo._cairn_refusal WHERE view = 'index'"))
                return len(tries) == 2
            wait_until(tried, "it was tried again")
            said = [line for line in node.log_text().splitlines() if "nocol" in line]
            self.assertEqual(len(said), 1, said)
        with self.serve(domain, verb="query") as reader:
            self.wait_for_error(reader, "index", "line 5: ", "nocol")
        (domain / "views/index.sql").write_text(view_text("index"))
        with self.serve(domain) as node:
            self.wait_until_well(node, "index", 1)
            self.wait_for_metric(node, "cairn_view_stopped", "index", 0)
            self.wait_for_metric(node, "cairn_view_lag_events", "index", 0)

    def test_a_live_view_goes_on_while_its_changed_definition_is_refused(self):
        domain = self.domain({"vv": view_text("vv")})
        with self.serve(domain) as node:
            self.put(node, "a")
            self.wait_until_well(node, "vv", 1)
        for change in ({"put": PUT.replace(":txt)", ":txt::nosuchtype)")}, {"table": GOOD + "\nCREATE INDEX ON vv (no);"}):
            (domain / "views/vv.sql").write_text(view_text("vv", **change))
            with self.serve(domain) as node:
                state = self.wait_for_error(node, "vv", "line ", "no")
                self.assertEqual((state["state"], state["generation"]), ("live", 1))
                self.wait_for_metric(node, "cairn_view_stopped", "vv", 0)
                position = self.put(node, "b", str(change)[:8])
                self.assertEqual(self.read(node, "/views/vv/b", position)["txt"], str(change)[:8])
                self.wait_for_metric(node, "cairn_view_lag_events", "vv", 0)
        (domain / "views/vv.sql").write_text(view_text("vv", put=PUT.replace(":txt)", "upper(:txt))")))
        with self.serve(domain) as node:
            self.wait_until_well(node, "vv", 2)
            self.assertEqual(node.get("/views/vv/a").json["txt"], "X")
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 0)

    def test_a_table_that_somebody_changed_stops_its_view_until_it_is_as_it_was(self):
        domain = self.domain({"vv": view_text("vv")})
        with self.serve(domain) as node:
            self.put(node, "a")
            self.wait_until_well(node, "vv", 1)
        self.sql("ALTER TABLE zo.vv RENAME txt TO text")
        with self.serve(domain) as node:
            state = self.wait_for_error(node, "vv", "line 6: ", "txt")
            self.assertEqual(state["state"], "stopped")
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 1)
            self.sql("ALTER TABLE zo.vv RENAME text TO txt")
            self.wait_until_well(node, "vv", 1)
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 0)

    def test_a_definition_of_a_lower_version_is_named(self):
        domain = self.domain({"vv": view_text("vv", 2)})
        with self.serve(domain) as node:
            self.put(node, "a")
            self.wait_until_well(node, "vv", 1)
        (domain / "views/vv.sql").write_text(view_text("vv", 1, put=PUT.replace(":txt)", "upper(:txt))")))
        with self.serve(domain) as node:
            state = self.wait_for_error(node, "vv", "says version 1", "version 2 is live", "--rollback")
            self.assertEqual((state["state"], state["generation"]), ("live", 1))
            node.wait_for_log("definition is outdated")
            self.assertEqual(self.read(node, "/views/vv/b", self.put(node, "b"))["txt"], "x")
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 0)
        (domain / "views/vv.sql").write_text(view_text("vv", 3, put=PUT.replace(":txt)", "upper(:txt))")))
        with self.serve(domain) as node:
            self.wait_until_well(node, "vv", 2)
            self.assertEqual(node.get("/views/vv/b").json["txt"], "X")

    # ---- rights

    def test_a_right_that_is_missing_is_named_and_needs_no_restart(self):
        self.sql(f"REVOKE CREATE ON DATABASE {self.name} FROM little")
        domain = self.domain({"vv": view_text("vv")})
        with self.serve(domain) as node:
            state = self.wait_for_error(node, "vv", "the role little may not make it", "CREATE on the database")
            self.assertEqual(state["state"], "building")
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 1)
            self.sql(f"GRANT CREATE ON DATABASE {self.name} TO little")
            self.wait_until_well(node, "vv", 1)
            self.wait_for_metric(node, "cairn_view_stopped", "vv", 0)
        self.sql(f"REVOKE CREATE ON DATABASE {self.name} FROM little")
        (domain / "views/vv.sql").write_text(view_text("vv", 2))
        with self.serve(domain) as node:
            self.wait_for_error(node, "vv", "permission denied")
            self.assertEqual(self.read(node, "/views/vv/a", self.put(node, "a"))["txt"], "x")
            self.sql(f"GRANT CREATE ON DATABASE {self.name} TO little")
            self.wait_until_well(node, "vv", 2)

    def test_rights_that_are_taken_away_are_no_view_that_is_built(self):
        domain = self.domain({"vv": view_text("vv")}, queries={"all": "SELECT id FROM vv"})
        with self.serve(domain) as node:
            self.put(node, "a")
            self.wait_until_well(node, "vv", 1)
            self.assertEqual(node.get("/queries/all").json["items"], [{"id": "a"}])
            self.sql("REVOKE ALL ON SCHEMA zo FROM little")
            for path in ("/views/vv/a", "/views/vv", "/queries/all"):
                answer = node.get(path)
                self.assertEqual((answer.status, answer.json["type"]), (503, "/problems/unreachable"), answer.body)
                self.assertIn("permission denied for schema zo", answer.json["detail"])
            self.sql("GRANT ALL ON SCHEMA zo TO little")
            for path in ("/views/vv/a", "/views/vv", "/queries/all"):
                wait_until(lambda: node.get(path).status == 200, path)
            self.wait_until_well(node, "vv", 1)

    # ---- names

    def test_schemas_of_two_domains_never_meet(self):
        mine = self.domain({"vv": view_text("vv")}, "zo", folder="mine")
        other = self.domain({"ww": view_text("ww")}, "zo_old_vv", folder="other")
        with self.serve(mine) as node, self.serve(other) as beside:
            for one in (node, beside):
                self.put(one, "a")
            self.wait_until_well(node, "vv", 1)
            self.wait_until_well(beside, "ww", 1)
            node.stop()
            (mine / "views/vv.sql").write_text(view_text("vv", 2))
            with self.serve(mine) as again:
                state = self.wait_for_error(again, "vv", "schema zo_old_vv", "somebody else's")
                self.assertEqual((state["state"], state["generation"]), ("live", 1))
                self.assertEqual(self.read(again, "/views/vv/b", self.put(again, "b"))["txt"], "x")
                self.assertEqual(self.read(beside, "/views/ww/b", self.put(beside, "b"))["txt"], "x")
                self.wait_until_well(beside, "ww", 1)

    def test_a_domain_takes_no_schema_of_another_ones_view(self):
        mine = self.domain({"vv": view_text("vv")}, "zo", folder="mine")
        for version in (1, 2):
            (mine / "views/vv.sql").write_text(view_text("vv", version))
            with self.serve(mine) as node:
                self.put(node, "a")
                self.wait_until_well(node, "vv", version)
        self.assertEqual(self.sql("SELECT count(*) FROM zo_old_vv.vv"), "1")
        other = self.domain({"ww": view_text("ww")}, "zo_old_vv", folder="other")
        with self.serve(other) as node:
            self.wait_for_error(node, "ww", "schema zo_old_vv is not this domain's", "domain zo, view vv")
        self.assertEqual(self.sql("SELECT count(*) FROM zo_old_vv.vv"), "1")

    def test_schemas_of_an_earlier_version_are_taken_over(self):
        domain = self.domain({"vv": view_text("vv")})
        for version in (1, 2):
            (domain / "views/vv.sql").write_text(view_text("vv", version))
            with self.serve(domain) as node:
                self.wait_until_well(node, "vv", version)
        self.sql("COMMENT ON SCHEMA zo IS NULL; COMMENT ON SCHEMA zo_old_vv IS NULL; DROP TABLE zo._cairn_refusal")
        (domain / "views/vv.sql").write_text(view_text("vv", 3))
        with self.serve(domain) as node:
            self.wait_until_well(node, "vv", 3)
            wait_until(lambda: self.sql("SELECT obj_description('zo_old_vv'::regnamespace)") == "Cairn: domain zo, view vv",
                       "the schema is marked")

    def test_names_that_a_schema_cannot_have_are_refused_at_once(self):
        for name, view, word in (("pg_zoo", "vv", "begin with pg_"), ("d" * 40, "v" * 30, "too long together")):
            domain = self.domain({view: view_text(view)}, name, folder=name)
            for flags in ((), ("--postgres", self.uri)):
                checked = harness.run("check", domain, *flags)
                self.assertEqual(checked.returncode, 1, checked.stdout + checked.stderr)
                self.assertIn(f"views/{view}.sql: ", checked.stdout)
                self.assertIn(word, checked.stdout)
            for verb in ("serve", "projector", "query"):
                started = harness.run(verb, domain, "--data", self.home / f"data-{name}", "--listen", "127.0.0.1:0",
                                      "--postgres", self.uri)
                self.assertEqual(started.returncode, 1, started.stdout + started.stderr)
                self.assertIn(word, started.stderr)


if __name__ == "__main__":
    harness.main()
