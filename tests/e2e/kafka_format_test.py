#!/usr/bin/env python3
"""What a domain's "format" does: the form of values on Kafka, and nothing else.

Records say themselves what they are. So a topic may hold JSON and msgpack, and positions, ids, data and views stay the
same through a change of the format, through a node that begins with nothing but the topics, and through a move to files.
"""
import contextlib
import json
import subprocess
import unittest

import harness
import kafka
import kafka_load

TYPES = {"json": "application/json", "msgpack": "application/msgpack"}
SCRIPT = """local {name} = aggregate "{name}"
function {name}.decide.Write(state, cmd) return event("Written", cmd) end
function {name}.evolve.Written(state, data) state.last = data end
"""
VIEW = """local notes = view "notes"
function notes.on.Written(view, event)
  local row = view:get(event.stream) or { count = 0 }
  view:put(event.stream, { count = row.count + 1, last = event.data })
end
"""
# As it stands in the body of a command: what a number's text says may not get lost on the way.
NOTES = [
    '{"amount":1}',
    '{"least":-9223372036854775808,"largest":9223372036854775807,"exact":9007199254740993}',
    '{"double":1.0,"minus zero":-0.0,"tenth":0.1,"huge":1.7976931348623157e+308,"small":2.2250738585072014e-308}',
    '{"text":"Grüße 世界 🌍","quoted":"\\"\\\\","controls":"\\u0000\\u0001\\t\\n","key ä":[true,false,{"deep":[[1]]}]}',
]
# A mebibyte of msgpack is all that an event may hold; a control character takes six bytes of JSON.
LARGEST = 1024 * 1024 - 64


def exact(text):
    """JSON as Python, with numbers as they are written."""
    return json.loads(text, parse_float=lambda number: ("float", number), parse_int=lambda number: ("int", number))


def write_domain(folder, name, domain_format):
    """Notes follow the domain; tags say for themselves."""
    described = {"name": name, "topics": {"partitions": 2, "replication": 1},
                 "aggregates": {"note": {}, "tag": {"format": "msgpack"}}}
    if domain_format is not None:
        described["format"] = domain_format
    for part in ("schemas/commands", "schemas/events", "views"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "domain.json").write_text(json.dumps(described))
    for aggregate in described["aggregates"]:
        (folder / f"{aggregate}.lua").write_text(SCRIPT.format(name=aggregate))
    (folder / "views/notes.lua").write_text(VIEW)
    for schema in ("commands/Write", "events/Written"):
        (folder / f"schemas/{schema}.json").write_text('{"type": "object"}')


def read_topic(bootstrap, topic):
    """Every committed record as (key, headers, value in bytes), in the order of its partition."""
    out = subprocess.run(["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning", "-X",
                          "isolation.level=read_committed", "-f", "%k\t%S\t%h\n%s\n"], capture_output=True, check=True,
                         timeout=60).stdout
    records = []
    while out:
        head, out = out.split(b"\n", 1)
        key, size, headers = head.decode().split("\t")
        records.append((key, dict(pair.split("=", 1) for pair in headers.split(",")), out[:int(size)]))
        out = out[int(size) + 1:]
    return records


class Format(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.broker = cls.stack.enter_context(kafka.Broker())
        cls.log = ["--log", f"kafka:{cls.broker.bootstrap}"]

    def setUp(self):
        folder = harness.folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.domain = self.folder / "domain"
        self.sent = 0

    def node(self, data="data", flags=()):
        return harness.Node(self.domain, self.folder / data, flags=[*self.log, *flags])

    def send(self, node, aggregate, key, body):
        """A young node owns no partition for a moment; the key makes the second try the same command."""
        self.sent += 1
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"command {self.sent}"}
        path = f"/commands/{aggregate}/{key}/Write"

        def attempt():
            answer = node.request("POST", path, body.encode(), headers)
            return answer if answer.status != 503 else None

        answer, _ = kafka_load.wait_until(attempt, f"no answer to {headers}")
        self.assertIn(answer.status, (200, 201), answer.body)
        return answer.headers["cairn-position"]

    def write_notes(self, node):
        """Returns a position behind all of them."""
        told = [self.send(node, "note", key, body) for key in ("a", "b", "c") for body in NOTES]
        told.append(self.send(node, "tag", "a", NOTES[0]))
        ends = dict(pair.split(":") for position in told for pair in position.split(","))
        return ",".join(f"{partition}:{offset}" for partition, offset in sorted(ends.items(), key=lambda e: int(e[0])))

    def rows(self, node, position):
        """The view once it holds position: what is served, to the letter."""
        answer = node.get("/views/notes?limit=100", Cairn_Position=position)
        self.assertEqual(answer.status, 200, answer.body)
        return exact(answer.body)["items"]

    def events(self, data, *flags):
        """The log of a data folder that nobody serves: events as they are printed, by their place in it."""
        done = harness.run("events", self.domain, "--data", self.folder / data, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {event["position"]: event for event in map(exact, done.stdout.splitlines())}

    @staticmethod
    def by_stream(events):
        """Without the place in the log, which depends on how many partitions that has."""
        return {(event["subject"], event["streamversion"]): {**event, "position": None} for event in events.values()}

    def check_topic(self, topic, events, counts):
        """Readable by whoever goes by the content type; counts: how many records of each format, the old ones first."""
        records = read_topic(self.broker.bootstrap, topic)
        told = {event["id"]: event for event in events.values()}
        types = [headers["content-type"] for _, headers, _ in records]
        self.assertEqual({kind: types.count(TYPES[kind]) for kind in counts}, counts)
        for key, headers, value in records:
            event = told[headers["ce_id"]]
            self.assertEqual((event["subject"], event["streamversion"][1]),
                             (f"{topic.split('.')[1]}-{key}", headers["ce_streamversion"]))
            if headers["content-type"] == TYPES["json"]:
                self.assertEqual(exact(value), event["data"])
            else:
                self.assertEqual(value[0] & 0xf0, 0x80, "a map of msgpack")

    def test_the_format_changes_while_all_else_stays(self):
        write_domain(self.domain, "notes", "json")
        with self.node() as node:
            position = self.write_notes(node)
            before = self.rows(node, position)
        first = self.events("data", *self.log)
        data = [event["data"] for event in first.values() if event["subject"] == "note-a"]
        self.assertEqual(data, [exact(body) for body in NOTES], "what was sent is what is stored")
        self.check_topic("notes.note", first, {"json": 3 * len(NOTES), "msgpack": 0})
        self.check_topic("notes.tag", first, {"json": 0, "msgpack": 1})

        write_domain(self.domain, "notes", "msgpack")
        with self.node() as node:
            self.assertEqual(self.rows(node, position), before)
            position = self.write_notes(node)
            after = self.rows(node, position)
            self.assertNotIn("view switched", node.log_text(), "nothing is built again")
        both = self.events("data", *self.log)
        self.assertEqual({position: both[position] for position in first}, first)
        self.check_topic("notes.note", both, {"json": 3 * len(NOTES), "msgpack": 3 * len(NOTES)})

        with self.subTest("a node that has nothing but the topics"):
            with self.node("empty") as node:
                self.assertEqual(self.rows(node, position), after)
            self.assertEqual(self.events("empty", *self.log), both)

        with self.subTest("moved to files"):
            moved = harness.run("migrate", self.domain, "--from", self.log[1], "--to", f"files:{self.folder / 'files'}",
                                "--data", self.folder / "copy")
            self.assertEqual(moved.returncode, 0, moved.stderr)
            self.assertEqual(self.by_stream(self.events("files")), self.by_stream(both))

    def test_the_largest_event_goes_as_json(self):
        write_domain(self.domain, "large", "json")
        with self.node(flags=["--body-max", "8M"]) as node:
            position = self.send(node, "note", "a", json.dumps({"text": "\x01" * LARGEST}))
            self.rows(node, position)
        self.check_topic("large.note", self.events("data", *self.log), {"json": 1, "msgpack": 0})
        with self.node("empty") as node:
            last = self.rows(node, position)[0]["last"]
            self.assertEqual(last["text"], "\x01" * LARGEST)

    def test_a_domain_that_says_nothing_writes_msgpack(self):
        write_domain(self.domain, "silent", None)
        with self.node() as node:
            self.send(node, "note", "a", NOTES[1])
        self.check_topic("silent.note", self.events("data", *self.log), {"json": 0, "msgpack": 1})


if __name__ == "__main__":
    harness.main()
