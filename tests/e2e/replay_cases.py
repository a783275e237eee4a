"""What `cairn replay` promises, for a view in either store: the cases, with the store left open."""
import json
import os
import subprocess
import threading
import time

import harness
import sql_shop
from harness import PATIENCE_S, wait_until
from sql_shop import view_state

LINES = 4000
SLOW = 50  # events a second of a build that must not be over before it is looked at


class ReplayCases:
    """Mixed into a TestCase that says:

    view, file: the view, and its file in the shop's folder
    edits:      changes of that file, (old, new) each, that add 1,000 to `lines` of every customer, and no more
    flags():    what each process needs beside --data
    scratch_places():  names of what dry runs have left behind
    forget():   deletes the views, as if nobody had ever built them
    """

    @classmethod
    def prepare(cls, folder):
        cls.folder = folder
        cls.commands, cls.totals = sql_shop.make_commands(folder, LINES, 21)
        cls.customers = cls.totals["views"]["customers"]
        cls.events = sum(row["lines"] for row in cls.customers.values())

    def begin(self):
        """A shop of the test's own, with everything in its views; not running."""
        self.home = self.folder / self.id().rpartition(".")[2][:40]
        self.home.mkdir()
        self.domain = sql_shop.copy_shop(self.home)
        with self.serve() as node:
            sql_shop.send(node, self.commands)
            node.wait_for_views()
            self.check_rows(node)

    def serve(self, verb="serve"):
        return harness.Node(self.domain, self.home / "data", verb, flags=self.flags())

    def check_rows(self, node, plus=0):
        position = sql_shop.retail_test.end_of_log(node)
        found = sql_shop.read_customers(node, self.view, position)
        expected = {key: {m: row[m] + (plus if m == "lines" else 0) for m in sql_shop.MEASURES}
                    for key, row in self.customers.items()}
        self.assertEqual(found, expected)

    def arguments(self, *flags):
        return (self.view, self.domain, "--data", self.home / "data", *self.flags(), *flags)

    def replay(self, *flags, status=0):
        done = sql_shop.replay(*self.arguments(*flags))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def change(self):
        text = (self.domain / self.file).read_text()
        for old, new in self.edits:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.domain / self.file).write_text(text)

    def generation(self, node):
        return view_state(node, self.view)["generation"]

    def wait_for_generation(self, node, generation):
        sql_shop.wait_for_generation(node, self.view, generation)

    # ---- building and switching ----

    def test_a_rebuild_switches_under_a_running_service_and_can_be_taken_back(self):
        self.begin()
        with self.serve() as node:
            done = self.replay()
            self.assertRegex(done.stdout, rf"{self.view}: {len(self.customers)} rows from \d+ events, generation 2 is live")
            self.assertRegex(done.stdout, rf"the rows before were the same: {len(self.customers)}, checksum [0-9a-f]{{16}}")
            self.assertIn("--rollback", done.stdout)
            self.wait_for_generation(node, 2)
            self.check_rows(node)
            self.add_a_line(node)
            back = json.loads(self.replay("--rollback", "--json").stdout)
            self.assertEqual((back["generation"], back["kept"], back["same"]), (3, True, True))
            self.assertEqual(back["before"], back["after"])
            self.check_rows(node)
            self.add_a_line(node)
            self.assertIn("dropped what was kept", self.replay("--drop").stdout)
            self.assertIn("nothing is kept", self.replay("--drop").stdout)
            self.assertIn("no generation before the live one is kept", self.replay("--rollback", status=1).stderr)
            self.check_rows(node)
        with self.serve() as node:
            self.check_rows(node)
            self.assertEqual(self.generation(node), 3)

    def add_a_line(self, node):
        """One more line of a customer, which the view must follow with."""
        name = next(iter(self.customers))
        data = {"stock_code": "X", "description": "", "quantity": 2, "price_mills": 10, "customer": name,
                "country": "Norge", "invoiced_at": "2020-01-01T00:00:00Z"}
        done = node.command("invoice", f"more-{time.monotonic_ns()}", "AddLine", data)
        self.assertLess(done.status, 300, done.body)
        row = dict(self.customers[name])
        row["lines"] += 1
        row["quantity"] += 2
        row["amount_mills"] += 20
        self.customers = {**self.customers, name: row}
        self.check_rows(node)

    def test_a_definition_that_was_rolled_back_stays_so_until_it_is_asked_for(self):
        self.begin()
        self.change()
        with self.serve() as node:
            self.wait_for_generation(node, 2)
            self.check_rows(node, plus=1000)
            self.replay("--rollback")
            self.wait_for_generation(node, 3)
            self.check_rows(node)
            self.add_a_line(node)
        with self.serve() as node:
            node.wait_for_log("definition was rolled back")
            self.check_rows(node)
            self.add_a_line(node)
            self.assertEqual(self.generation(node), 3)
            self.replay()
            self.wait_for_generation(node, 4)
            self.check_rows(node, plus=1000)

    def begin_build(self, node):
        """A build that is under way, and has applied more than one before it."""
        before = self.applied(node)
        build = sql_shop.begin_replay(*self.arguments("--throttle", str(SLOW)))
        wait_until(lambda: build.poll() is not None or self.applied(node) > before, "it is under way")
        self.assertIsNone(build.poll())
        return build

    def wait_for_builders(self):
        """A file's lock goes with its process."""

    def applied(self, node):
        return (view_state(node, self.view).get("rebuild") or {}).get("done", 0)

    def test_a_build_that_is_killed_is_gone_on_with(self):
        self.begin()
        with self.serve() as node:
            build = self.begin_build(node)
            self.assertTrue(view_state(node, self.view)["rebuild"]["active"])
            build.kill()
            build.communicate()
            wait_until(lambda: view_state(node, self.view)["rebuild"]["active"] is False, "nobody is at it any more")
            self.check_rows(node)
            self.wait_for_builders()
            build = self.begin_build(node)
            build.terminate()
            out, err = build.communicate(timeout=PATIENCE_S)
            self.assertEqual((build.returncode, out), (1, ""), err)
        with self.serve() as node:  # leaves it to the next replay: its own definition is live
            self.check_rows(node)
            self.add_a_line(node)
            done = json.loads(self.replay("--json").stdout)
            self.assertEqual(done["generation"], 2)
            self.assertTrue(done["resumed"])
            self.assertTrue(done["same"])
            self.check_rows(node)

    def test_a_first_build_holds_the_whole_log(self):
        self.begin()
        events = len(self.events_of())
        self.forget()
        done = json.loads(self.replay("--throttle", "5000", "--json").stdout)  # in small batches
        self.assertEqual((done["generation"], done["events"]), (1, events))
        self.assertEqual((done["same"], done.get("not_compared")), (None, None))
        with self.serve() as node:
            self.check_rows(node)

    def test_readers_never_see_a_step_back_or_half_a_view(self):
        self.begin()
        stop, failures, looks = threading.Event(), [], []
        with self.serve() as node, self.serve("query") as one, self.serve("query") as two:
            readers = [threading.Thread(target=self.read_until, args=(reads, stop, failures, looks))
                       for reads in (node, one, two)]
            for reader in readers:
                reader.start()
            sending = sql_shop.Sending(node, self.commands_more())
            for _ in range(3):
                self.replay()
                self.replay("--rollback")
            sending.finish()
            wait_until(lambda: failures or len(looks) > 10, "readers read")
            stop.set()
            for reader in readers:
                reader.join()
            self.assertEqual(failures, [])
            self.assertEqual(self.generation(node), 7)

    def commands_more(self):
        """Other commands of the same shop, on streams of their own."""
        path = self.home / "more.ndjson"
        given, _ = sql_shop.make_commands(self.home, 6000, 22)
        with open(given, encoding="utf-8") as lines, open(path, "w", encoding="utf-8") as out:
            for line in lines:
                command = json.loads(line)
                command["id"] = "more" + command["id"]
                command["key"] = "more" + command["key"]
                out.write(json.dumps(command) + "\n")
        return path

    def read_until(self, node, stop, failures, looks):
        """The sum of all lines belongs to its position, and neither goes back. Every customer is there from the start."""
        held, before = -1, 0
        try:
            while not stop.is_set():
                page = node.get(f"/views/{self.view}?limit=1000")
                assert page.status == 200, page.body
                at = int(page.headers["cairn-position"].partition(":")[2])
                lines = sum(row["lines"] for row in page.json["items"])
                assert at >= held and lines >= before, (at, held, lines, before)
                assert lines >= self.events and "next" not in page.json, (lines, self.events)
                held, before = at, lines
                looks.append(at)
        except BaseException as failure:  # told at the end
            failures.append(failure)

    # ---- dry runs ----

    def test_a_dry_run_tells_what_another_definition_changes_and_changes_nothing(self):
        self.begin()
        same = self.replay("--dry-run", "--diff")
        self.assertEqual(same.stdout, "")
        self.assertIn(" 0 differ from the live ones", same.stderr)
        self.change()
        done = self.replay("--dry-run", "--diff", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(found), len(self.customers))
        self.assertEqual(json.loads(done.stderr)["differences"], len(found))
        for one in found:
            self.assertEqual(one["replayed"]["lines"], one["live"]["lines"] + 1000)
        self.assertEqual(json.loads(done.stderr.splitlines()[-1])["differences"], len(found))
        signs = [line[:2] for line in self.replay("--dry-run", "--diff").stdout.splitlines()]
        self.assertEqual(sorted(signs), ["+ "] * len(found) + ["- "] * len(found))
        (self.domain / self.file).write_text((sql_shop.SHOP / self.file).read_text())
        with self.serve() as node:
            self.check_rows(node)
            self.assertEqual(self.generation(node), 1)

    def test_a_reader_that_goes_away_leaves_nothing_behind(self):
        self.begin()
        gone, out = os.pipe()
        os.close(gone)
        done = subprocess.run([harness.BINARY, "replay", *map(str, self.arguments("--dry-run", "--rows"))], stdout=out,
                              stderr=subprocess.PIPE, text=True, timeout=120)
        os.close(out)
        harness.refuse_reports(done.stderr)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("could not be printed", done.stderr)
        self.assertEqual(self.scratch_places(), [])

    def rows(self, *flags):
        done = self.replay("--dry-run", "--rows", *flags)
        found = {}
        for line in done.stdout.splitlines():
            row = json.loads(line)
            found[row["row"].get("customer", row["key"])] = row["row"]
        return found, done

    def events_of(self, *flags):
        done = harness.run("events", self.domain, "--data", self.home / "data", *flags)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def lines_of(self, events):
        lines = {}
        for event in events:
            if event["type"] in ("LineAdded", "LineReturned"):
                lines[event["data"]["customer"]] = lines.get(event["data"]["customer"], 0) + 1
        return lines

    def test_a_range_and_one_stream_give_the_rows_of_these_events(self):
        self.begin()
        events = self.events_of()
        middle = len(events) // 2
        at = events[middle]["position"]
        until, _ = self.rows("--until", at)
        self.assertEqual({key: row["lines"] for key, row in until.items()}, self.lines_of(events[:middle + 1]))
        since, _ = self.rows("--from", at)
        self.assertEqual({key: row["lines"] for key, row in since.items()}, self.lines_of(events[middle + 1:]))
        when = events[middle]["time"]
        early = [event for event in events if event["time"] <= when]
        told, _ = self.rows("--until", when)
        self.assertEqual({key: row["lines"] for key, row in told.items()}, self.lines_of(early))
        stream = events[middle]["subject"]
        one, done = self.rows("--stream", stream)
        mine = [event for event in events if event["subject"] == stream]
        self.assertEqual({key: row["lines"] for key, row in one.items()}, self.lines_of(mine))
        self.assertIn(f"{len(one)} rows", done.stderr)

    def told(self, *flags):
        """Differences and the numbers of a dry run."""
        done = self.replay("--dry-run", "--diff", "--json", *flags)
        return [json.loads(line) for line in done.stdout.splitlines()], json.loads(done.stderr)

    def test_the_past_is_held_against_the_live_rows_of_now_by_time_as_by_position(self):
        self.begin()
        events = self.events_of()
        by_time, told = self.told("--until", events[len(events) // 4]["time"])
        place = int(told["position"].partition(":")[2])
        self.assertEqual([event["time"] <= events[len(events) // 4]["time"] for event in events],
                         [number < place for number in range(len(events))])
        by_position, same = self.told("--until", told["position"])
        self.assertEqual((by_time, told), (by_position, same))
        self.assertEqual((len(by_time), told["left_out"]), (told["differences"], 0))
        held, live = self.lines_of(events[:place]), self.lines_of(events)
        self.assertEqual(told["differences"], sum(held.get(key) != lines for key, lines in live.items()))
        self.assertEqual(sum("replayed" not in one for one in by_time), len(live) - len(held))
        self.assertEqual(told["live_position"], f"0:{len(events)}")
        self.assertIn(f"the live rows are as of 0:{len(events)}", told["notes"][0])
        none, told = self.told("--until", "2020-01-01T00:00:00Z")
        self.assertEqual((told["position"], told["events"], len(none)), ("0:0", 0, len(live)))

    def test_what_a_part_of_the_log_leaves_out_is_said(self):
        self.begin()
        stream = self.events_of("--limit", "1")[0]["subject"]
        for flags in (("--stream", stream), ("--from", self.events_of()[-2]["position"])):
            _, told = self.told(*flags)
            self.assertGreater(told["left_out"], 0)
            self.assertEqual(told["left_out"], told["live_rows"] - told["rows"])
            self.assertIn(f"left out of the comparison are {told['left_out']} rows", told["notes"][0])
            text = self.replay("--dry-run", "--workers", "4", *flags).stdout
            self.assertIn(told["notes"][0], text)
            self.assertIn("a dry run is done by one worker", text)

    def test_what_makes_no_sense_is_refused_with_a_reason(self):
        self.begin()
        for flags, word in ((("--diff",), "--dry-run"), (("--rows",), "--dry-run"), (("--from", "0:1"), "--dry-run"),
                            (("--stream", "invoice-1"), "--dry-run"), (("--rollback", "--drop"), "two different"),
                            (("--dry-run", "--rollback"), "two different")):
            self.assertIn(word, self.replay(*flags, status=2).stderr, flags)
        for flags, word in ((("--from", "yesterday"), "neither a position"), (("--stream", "x"), "no stream"),
                            (("--until", "1:3"), "--until names partition 1; the log has 1"),
                            (("--from", "0:1,7:3"), "--from names partition 7; the log has 1")):
            self.assertIn(word, self.replay("--dry-run", *flags, status=1).stderr, flags)
        none = harness.run("replay", "none", self.domain, "--data", self.home / "data", *self.flags())
        self.assertEqual(none.returncode, 1)
        self.assertIn("no such view", none.stderr)
