#!/usr/bin/env python3
"""What goes wrong around the service: runaway deciders, failing projections, a full disk, half requests."""
import json
import socket
import subprocess
import threading
import unittest

import harness
from sql_shop import wait_for_generation

DOMAIN = {
    "domain.json": json.dumps({"name": "unruly", "aggregates": {"thing": {}}}),
    "thing.lua": """
local thing = aggregate "thing"
thing.initial = { count = 0 }
function thing.decide.Add(state, cmd) return event("Added", { n = cmd.n }) end
function thing.decide.Many(state, cmd)
  local events = {}
  for i = 1, cmd.n do events[i] = event("Added", { n = i }) end
  return events
end
function thing.decide.Loop() while true do end end
function thing.decide.Eat() local t = {} for i = 1, 1e12 do t[i] = ("x"):rep(1000) .. i end end
function thing.decide.Throw() error("out of order") end
function thing.decide.Nonsense() return 42 end
function thing.decide.Unknown() return event("Nothing", {}) end
function thing.decide.Invalid() return event("Added", { n = "many" }) end
function thing.evolve.Added(state, data) state.count = state.count + data.n end
""",
    "views/counts.lua": """
local counts = view "counts"
counts.version = 1
counts.indexes = { "count" }
function counts.on.Added(view, event)
  if event.data.n == 666 then error("unlucky") end
  local row = view:get(event.aggregate_id) or { count = 0 }
  row.count = row.count + event.data.n
  view:put(event.aggregate_id, row)
end
""",
    "schemas/events/Added.json": json.dumps({
        "type": "object", "required": ["n"], "additionalProperties": False, "properties": {"n": {"type": "integer"}}}),
}
COMMANDS = ("Add", "Many", "Loop", "Eat", "Throw", "Nonsense", "Unknown", "Invalid")


def write_domain(folder):
    for name, text in DOMAIN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in COMMANDS:
        path = folder / f"schemas/commands/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}}))
    return folder


class Unruly(unittest.TestCase):
    def setUp(self):
        self.stack = harness.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(harness.folder())
        self.domain = write_domain(self.folder / "domain")

    def serve(self, *flags):
        return self.stack.enter_context(harness.Node(self.domain, self.folder / "data", flags=flags))

    def test_a_decider_that_misbehaves_is_500_with_its_place_and_harms_nobody(self):
        node = self.serve("--script-instructions", "2000000", "--script-memory", "8M")
        done = threading.Event()
        served = []

        def serve_others():
            while not done.is_set():
                served.append(node.command("thing", "calm", "Add", {"n": 1}).status)

        other = threading.Thread(target=serve_others)
        other.start()
        for command in COMMANDS[2:]:
            with self.subTest(command):
                answer = node.command("thing", "wild", command, {})
                self.assertEqual(answer.status, 500, answer.body)
                self.assertEqual(answer.json["type"], "/problems/decider-failed")
                if command in ("Loop", "Eat", "Throw"):
                    self.assertIn("thing.lua:", json.dumps(answer.json))
        done.set()
        other.join()
        self.assertEqual(set(served) - {200, 201}, set())
        self.assertEqual(node.get("/streams/thing-wild").status, 404, "a failed command wrote nothing")
        self.assertEqual(node.command("thing", "wild", "Add", {"n": 1}).status, 201)

    def test_all_events_of_a_command_become_visible_together(self):
        node = self.serve()
        last = None
        for _ in range(20):
            last = node.command("thing", "atomic", "Many", {"n": 100})
            self.assertEqual(len(last.json["events"]), 100)
            row = node.get("/views/counts/atomic")
            if row.status == 200:
                self.assertEqual(row.json["count"] % 5050, 0)
        row = node.get("/views/counts/atomic", Cairn_Position=last.json["position"]).json
        self.assertEqual(row["count"], 20 * 5050)

    def test_a_projection_that_fails_stops_there_and_is_built_anew_after_the_fix(self):
        node = self.serve()
        node.command("thing", "a", "Add", {"n": 1})
        bad = node.command("thing", "a", "Add", {"n": 666})
        after = node.command("thing", "a", "Add", {"n": 2})
        told = json.dumps(harness.wait_until(lambda: self.stopped(node), "the view stops"))
        stopped = node.get("/views/counts/a", Cairn_Position=after.json["position"], Prefer="wait=1")
        self.assertEqual(stopped.status, 503, stopped.body)
        self.assertIn("unlucky", told)
        self.assertIn(bad.json["events"][0]["id"], told)
        self.assertEqual(node.get("/views/counts/a").json["count"], 1, "it stays readable as of where it stopped")
        harness.wait_until(lambda: b'cairn_view_stopped{view="counts"} 1' in node.get("/metrics").body, "the metric tells it")
        node.wait_for_log("unlucky")
        self.assertEqual(node.stop(), 0)
        script = self.domain / "views/counts.lua"
        script.write_text(script.read_text().replace('error("unlucky")', "return"))
        node = self.serve()
        wait_for_generation(node, "counts", 2)
        row = node.get("/views/counts/a", Cairn_Position=after.json["position"])
        self.assertEqual((row.status, row.json["count"]), (200, 3), row.body)

    @staticmethod
    def stopped(node):
        return next((view for view in node.get("/views").json["items"] if view["state"] == "stopped"), None)

    def test_half_a_body_is_never_taken_for_the_whole(self):
        node = self.serve("--request-timeout", "300ms")
        connection = socket.create_connection(("127.0.0.1", node.port), timeout=harness.PATIENCE_S)
        connection.sendall(b"POST /commands/thing/half/Add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b'Content-Length: 100\r\n\r\n{"n":1}')
        answer = connection.recv(4096)
        self.assertIn(b" 408 ", answer.split(b"\r\n")[0])
        connection.close()
        self.assertEqual(node.get("/streams/thing-half").status, 404)

    def test_odd_input_is_refused_clearly(self):
        node = self.serve("--body-max", "64K")
        json_type = {"Content-Type": "application/json"}
        for body, status in ((b"", None), (b"[]", 422), (b'{"n":1,"n":2}', 400), (b'{"n":"\xff"}', 400),
                             (b'{"n":"\\ud800"}', 400), (b'{"n":1e999}', 400), (b"[" * 100 + b"]" * 100, 400),
                             (b'{"n":' + b" " * 70000 + b"1}", 413), (b'{"n":18446744073709551616}', 400)):
            answer = node.request("POST", "/commands/thing/odd/Add", body, json_type)
            if status is not None:
                self.assertEqual(answer.status, status, (body[:40], answer.body))
            if status == 400:
                self.assertIn("offset", answer.json)
        for path in ("/commands/thing/%00/Add", "/commands/thing/a%2fb/Add", f"/commands/thing/{'x' * 129}/Add"):
            self.assertIn(node.request("POST", path, b'{"n":1}', json_type).status, (400, 404), path)

    def test_msgpack_in_and_out(self):
        node = self.serve()
        body = b"\x81\xa1n\x07"
        headers = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
        answer = node.request("POST", "/commands/thing/packed/Add", body, headers)
        self.assertEqual((answer.status, answer.headers["content-type"]), (201, "application/msgpack"))
        self.assertIn(b"thing-packed", answer.body)
        row = node.get("/views/counts/packed", Cairn_Position=answer.headers["cairn-position"],
                       Accept="application/msgpack")
        self.assertIn(b"\xa5count\x07", row.body)

    def test_a_full_disk_stops_the_log_and_loses_nothing(self):
        mount = self.folder / "small"
        mount.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(mount)], capture_output=True)
        if done.returncode != 0:
            harness.skip_loudly("cannot mount a small file system: " + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(mount)])
        accepted = []
        with harness.Node(self.domain, mount / "data", flags=("--segment-size", "1M")) as node:
            for n in range(20000):
                answer = node.command("thing", f"f{n}", "Many", {"n": 200}, Idempotency_Key=f"k{n}")
                if answer.status != 201:
                    break
                accepted.append(answer.json)
            self.assertEqual(answer.status, 503, answer.body)
            self.assertIn(answer.json["type"], ("/problems/disk-full", "/problems/stopping"))
            harness.wait_until(lambda: node.get("/health/ready").status == 503, "it is not ready any more")
            self.assertEqual(node.get(f"/streams/{accepted[0]['stream']}").status, 200, "reading goes on")
            self.assertEqual(node.stop(), 0)
        self.assertGreater(len(accepted), 10)
        subprocess.run(["mount", "-o", "remount,size=200M", str(mount)], check=True)
        with harness.Node(self.domain, mount / "data") as node:
            for n, first in enumerate(accepted):
                again = node.command("thing", f"f{n}", "Many", {"n": 200}, Idempotency_Key=f"k{n}")
                self.assertEqual(again.json, first)
        verified = harness.run("verify", self.domain, "--data", mount / "data", "--skip-views")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_a_thousand_idle_connections_do_not_starve_a_new_one(self):
        node = self.serve()
        idle = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(1000)]
        for connection in idle:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in idle:
            self.assertIn(b" 200 ", connection.recv(4096))
        self.assertEqual(node.command("thing", "new", "Add", {"n": 1}).status, 201)
        for connection in idle:
            connection.close()


class Sql(unittest.TestCase):
    def test_a_domain_with_sql_views_says_so_and_serves_the_rest(self):
        with harness.folder() as folder:
            domain = write_domain(folder / "domain")
            (domain / "views/daily.sql").write_text("-- view: daily\n-- version: 1\n-- table:\n"
                                                    "CREATE TABLE daily (day date PRIMARY KEY);\n"
                                                    "-- on: Added\n"
                                                    "INSERT INTO daily VALUES (:time::date);\n")
            with harness.Node(domain, folder / "data") as node:
                node.wait_for_log("view-not-served")
                answer = node.command("thing", "s", "Add", {"n": 3})
                row = node.get("/views/counts/s", Cairn_Position=answer.json["position"])
                self.assertEqual(row.json["count"], 3)
                self.assertEqual(node.get("/views/daily").status, 501)
                states = {view["name"]: view["state"] for view in node.get("/views").json["items"]}
                self.assertEqual(states, {"counts": "live", "daily": "unavailable"})


class Upcasting(unittest.TestCase):
    def test_old_events_are_lifted_everywhere(self):
        with harness.folder() as folder:
            domain = write_domain(folder / "domain")
            with harness.Node(domain, folder / "data") as node:
                node.command("thing", "old", "Add", {"n": 3})
                node.wait_for_views()
            schemas = domain / "schemas/events"
            (schemas / "Added.json").rename(schemas / "Added.v1.json")
            (schemas / "Added.json").write_text(json.dumps({
                "type": "object", "required": ["units"], "additionalProperties": False,
                "properties": {"units": {"type": "integer"}}}))
            script = domain / "thing.lua"
            script.write_text(script.read_text().replace("{ n = ", "{ units = ").replace("data.n", "data.units") +
                              "thing.upcast.Added = { [1] = function(data) return { units = data.n * 10 } end }\n")
            view = domain / "views/counts.lua"
            view.write_text(view.read_text().replace("data.n", "data.units"))
            checked = harness.run("check", domain)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            with harness.Node(domain, folder / "data") as node:
                wait_for_generation(node, "counts", 2)
                answer = node.command("thing", "old", "Add", {"n": 4})
                self.assertEqual(answer.status, 200, answer.body)
                row = node.get("/views/counts/old", Cairn_Position=answer.json["position"])
                self.assertEqual(row.json["count"], 34)
                events = node.get("/streams/thing-old").json["items"]
                self.assertEqual([event["data"] for event in events], [{"units": 30}, {"units": 4}])
                self.assertEqual(node.get("/streams/thing-old/state").json["state"]["count"], 34)


class Partitions(unittest.TestCase):
    def test_several_partitions_give_the_same_answers(self):
        with harness.folder() as folder:
            domain = write_domain(folder / "domain")
            with harness.Node(domain, folder / "data", flags=("--partitions", "4")) as node:
                positions = set()
                for n in range(40):
                    answer = node.command("thing", f"p{n}", "Add", {"n": n}, Idempotency_Key=f"key-{n}")
                    self.assertEqual(answer.status, 201)
                    positions.add(answer.json["position"].split(":")[0])
                    row = node.get(f"/views/counts/p{n}", Cairn_Position=answer.json["position"])
                    self.assertEqual(row.json["count"], n)
                self.assertEqual(positions, {"0", "1", "2", "3"})
                items = node.get("/events?limit=100").json["items"]
                self.assertEqual(len(items), 40)
            harness.shutil.rmtree(folder / "data/index")
            with harness.Node(domain, folder / "data") as node:
                again = node.command("thing", "p3", "Add", {"n": 3}, Idempotency_Key="key-3")
                self.assertEqual(again.headers["idempotency-replayed"], "true")
            refused = harness.run("serve", domain, "--data", folder / "data", "--partitions", "2", timeout=harness.PATIENCE_S)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("partition", refused.stderr)


if __name__ == "__main__":
    harness.main()
