"""What parking promises, for a view in either store: the cases, with the store left open."""
import json

import harness
import sql_shop
from harness import wait_until
from sql_shop import view_state

LINE = {"stock_code": "X", "description": "", "quantity": 1, "price_mills": 5, "country": "Norge",
        "invoiced_at": "2020-01-01T00:00:00Z"}
BAD = 77


class ParkedCases:
    """Mixed into a TestCase that says:

    file, text: a view `counted` that has a row for each customer with the count of `lines` and the `last` quantity, and that
                cannot apply a quantity of BAD in processes that were started before open_gate()
    flags():    what each process needs beside --data
    parks:      what makes it park, in text; without that it stops
    edits:      changes of the text, (old, new) each, that let it apply every quantity and count each line as ten
    """

    def begin(self):
        self.home = self.folder / self.id().rpartition(".")[2][:40]
        self.home.mkdir()
        self.domain = sql_shop.copy_shop(self.home)
        (self.domain / self.file).write_text(self.text)

    def serve(self):
        return harness.Node(self.domain, self.home / "data", flags=self.flags())

    def add(self, node, invoice, *quantities):
        """Lines of an invoice, which is its customer, too; returns the position of the last."""
        for quantity in quantities:
            done = node.command("invoice", invoice, "AddLine", {**LINE, "customer": invoice, "quantity": quantity})
            self.assertLess(done.status, 300, done.body)
        return done.headers["cairn-position"]

    def rows(self, node, position):
        page = node.get("/views/counted?limit=1000", Cairn_Position=position)
        self.assertEqual(page.status, 200, page.body)
        self.assertEqual(page.headers.get("cairn-view-state", "live"), "live")
        return {row["key"]: (row["lines"], row["last"]) for row in page.json["items"]}

    def parked(self, action, *flags, status=0):
        done = harness.run("parked", action, self.domain, "--data", self.home / "data", *self.flags(), *flags)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def listed(self):
        return [json.loads(line) for line in self.parked("list", "--view", "counted", "--json").stdout.splitlines()]

    def verify(self):
        done = harness.run("verify", self.domain, "--data", self.home / "data", *self.flags(), "--view", "counted")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def metric(self, node, name="cairn_view_parked_streams"):
        lines = node.get("/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith(name) and '"counted"' in line]
        return float(found[0].split()[-1]) if found else None

    def write(self, edits):
        text = self.text
        for old, new in edits:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.domain / self.file).write_text(text)

    def replay(self):
        done = sql_shop.replay("counted", self.domain, "--data", self.home / "data", *self.flags(), "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_a_stream_waits_in_order_and_the_rest_flows(self):
        self.begin()
        with self.serve() as node:
            self.add(node, "a", 1, BAD, 3)
            at = self.add(node, "b", 4, 5)
            self.assertEqual(self.rows(node, at), {"a": (1, 1), "b": (2, 5)})
            state = view_state(node, "counted")
            self.assertEqual((state["state"], state["parked"]), ("live", 1))
            wait_until(lambda: self.metric(node) == 1, "the metric counts it")
            node.wait_for_log("parked")
            one, = self.listed()
            self.assertEqual((one["stream"], one["version"], one["waiting"]), ("invoice-a", 2, 2))
            self.assertNotEqual(one["error"], "")
            events = [json.loads(line) for line in node.get("/streams/invoice-a").body.splitlines()][0]["items"]
            self.assertEqual(one["event"], events[1]["id"])
            shown = self.parked("show", "--view", "counted", "--stream", "invoice-a").stdout.splitlines()
            self.assertEqual([json.loads(line)["id"] for line in shown[1:]], [event["id"] for event in events[1:]])
            self.verify()
            again = self.parked("retry", "--view", "counted", status=1)
            self.assertIn("1 of 1 streams failed again", again.stderr)
            told = json.loads(self.parked("retry", "--view", "counted", "--json", status=1).stdout)
            self.assertEqual((told["view"], told["stream"], told["applied"]), ("counted", "invoice-a", 0))
            self.assertRegex(told["error"], rf"event (at {one['position']}|{one['event']}): ")
            self.list_beside_an_unbuilt_view()
            self.assertEqual(self.rows(node, at), {"a": (1, 1), "b": (2, 5)})
            self.assertEqual([row["error"] for row in self.listed()], [one["error"]])
            self.open_gate()
            self.assertIn("2 events applied", self.parked("retry", "--view", "counted").stdout)
            self.assertEqual(self.rows(node, at), {"a": (3, 3), "b": (2, 5)})
            at = self.add(node, "a", 6)
            self.assertEqual(self.rows(node, at), {"a": (4, 6), "b": (2, 5)})
            self.assertIn("nothing is parked", self.parked("list").stdout)
            self.assertIn("nothing is parked", self.parked("retry", "--view", "counted").stdout)
            self.assertEqual(view_state(node, "counted")["parked"], 0)
            wait_until(lambda: self.metric(node) == 0, "the metric counts none")
            self.verify()

    def list_beside_an_unbuilt_view(self):
        """A view that no projector has built hides nothing of the others."""
        later = self.domain / self.file.replace("counted", "later")
        later.write_text(self.text.replace("counted", "later"))
        done = self.parked("list", "--json")
        self.assertEqual([json.loads(line)["stream"] for line in done.stdout.splitlines()], ["invoice-a"])
        self.assertIn("view later has no live generation", done.stderr)
        later.unlink()

    def test_what_is_given_up_is_left_out_until_a_rebuild(self):
        self.begin()
        with self.serve() as node:
            at = self.add(node, "a", 1, BAD, 3)
            self.assertEqual(self.rows(node, at), {"a": (1, 1)})
            self.assertEqual(self.parked("drop", "--view", "counted", status=2).stdout, "")
            dropped = self.parked("drop", "--view", "counted", "--stream", "invoice-a", "--json")
            self.assertEqual(json.loads(dropped.stdout)["dropped"], 2)
            at = self.add(node, "a", 8)
            self.assertEqual(self.rows(node, at), {"a": (2, 8)})
            self.assertEqual(self.listed(), [])
            self.verify()
            self.open_gate()
            done = self.replay()
            self.assertIsNone(done["same"])
            self.assertIn("leaves out other events", done["not_compared"])
            self.assertEqual(self.listed(), [])
            self.assertEqual(self.rows(node, at), {"a": (4, 8)})
            self.verify()
        none = self.parked("drop", "--view", "counted", "--stream", "invoice-a", status=1)
        self.assertIn("not parked", none.stderr)

    def test_kills_and_poison_leave_what_the_log_gives(self):
        self.begin()
        streams = 40
        for round_number in range(3):
            with self.serve() as node:
                for number in range(streams):
                    quantities = (1, BAD, 2) if number % 4 == 0 else (1, 2, 3)
                    at = self.add(node, f"c{number}", *quantities)
                if round_number < 2:
                    node.kill()
                    continue
                rows = self.rows(node, at)
                self.assertEqual(rows, {f"c{n}": (1, 1) if n % 4 == 0 else (9, 3) for n in range(streams)})
                self.assertEqual(len(self.listed()), streams // 4)
                self.open_gate()
                self.parked("retry", "--view", "counted")
                rows = self.rows(node, at)
                self.assertEqual(rows, {f"c{n}": (9, 2 if n % 4 == 0 else 3) for n in range(streams)})
        self.verify()

    def dry_run(self, *flags, status=0):
        done = harness.run("replay", "counted", self.domain, "--data", self.home / "data", *self.flags(), "--dry-run", *flags)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_a_dry_run_goes_on_behind_where_the_live_view_stopped(self):
        self.begin()
        stops = "".join(line for line in self.text.splitlines(True) if "on_error" not in line)
        (self.domain / self.file).write_text(stops)
        with self.serve() as node:
            self.assertEqual(self.rows(node, self.add(node, "a", 1)), {"a": (1, 1)})
            self.add(node, "a", BAD, 3)
            wait_until(lambda: view_state(node, "counted")["state"] == "stopped", "it stops")
            event = [json.loads(line) for line in node.get("/streams/invoice-a").body.splitlines()][0]["items"][1]["id"]
        self.assertRegex(self.dry_run(status=1).stderr, rf"event ({event} )?at 0:2: ")
        (self.domain / self.file).write_text(self.text)
        parks = json.loads(self.dry_run("--json").stdout)
        self.assertEqual((parks["position"], parks["live_position"], parks["rows"], parks["parked"]), ("0:3", "0:1", 1, 1))
        self.assertIn("1 streams were parked", self.dry_run().stdout)
        (self.domain / self.file).write_text(stops)
        self.open_gate()
        mended = self.dry_run("--rows", "--diff")
        row, live, replayed = mended.stdout.splitlines()
        self.assertEqual(json.loads(row)["row"]["lines"], 3)
        self.assertEqual((live[0], replayed[0]), ("-", "+"))
        self.assertIn("1 rows from 3 events up to 0:3, 1 differ from the live ones", mended.stderr)
        self.assertIn("the live rows are as of 0:1", mended.stderr)

    def test_a_build_parks_too(self):
        self.begin()
        (self.domain / self.file).unlink()
        with self.serve() as node:
            self.add(node, "a", 1, BAD, 3)
            at = self.add(node, "b", 4)
        (self.domain / self.file).write_text(self.text)
        with self.serve() as node:
            wait_until(lambda: view_state(node, "counted")["state"] == "live", "it is built")
            self.assertEqual(self.rows(node, at), {"a": (1, 1), "b": (1, 4)})
            self.assertEqual([one["stream"] for one in self.listed()], ["invoice-a"])
            done = self.replay()
            self.assertEqual((done["parked"], done["same"], done.get("not_compared")), (1, True, None))
            wait_until(lambda: view_state(node, "counted")["generation"] == done["generation"], "it is switched")
            self.open_gate()
            self.parked("retry", "--view", "counted", "--stream", "invoice-a")
            self.assertEqual(self.rows(node, at), {"a": (3, 3), "b": (1, 4)})

    def test_a_stopped_view_whose_definition_changes_is_built_anew(self):
        self.begin()
        self.write([(self.parks, "")])
        with self.serve() as node:
            wait_until(lambda: view_state(node, "counted")["state"] == "live", "its first build is done")
            at = self.add(node, "a", 1, BAD, 3)
            wait_until(lambda: view_state(node, "counted")["state"] == "stopped", "it stops")
            wait_until(lambda: self.metric(node, "cairn_view_stopped") == 1, "the metric says so")
        self.write([(self.parks, ""), *self.edits])
        with self.serve() as node:
            wait_until(lambda: view_state(node, "counted")["state"] == "live", "the changed one is live")
            self.assertEqual(self.rows(node, at), {"a": (30, 3)})
            self.assertEqual(view_state(node, "counted")["generation"], 2)
            wait_until(lambda: self.metric(node, "cairn_view_stopped") == 0, "the metric says so")
            self.verify()

    def test_a_build_that_fails_stops_nothing(self):
        self.begin()
        self.write([(self.parks, ""), *self.edits])
        with self.serve() as node:
            at = self.add(node, "a", 1, BAD, 3)
            self.assertEqual(self.rows(node, at), {"a": (30, 3)})
        self.write([(self.parks, "")])
        with self.serve() as node:
            wait_until(lambda: view_state(node, "counted").get("error"), "the build has failed")
            at = self.add(node, "b", 4)
            self.assertEqual(self.rows(node, at), {"a": (30, 3), "b": (10, 4)})
            state = view_state(node, "counted")
            self.assertEqual((state["state"], state["generation"]), ("live", 1))
            self.assertEqual(self.metric(node, "cairn_view_stopped"), 0)
