#!/usr/bin/env python3
"""The command line: help, configuration, check, events, clear errors, clean stops."""
import json
import os
import re
import shutil
import signal
import socket
import unittest

import harness
from harness import ROOT

BANK = ROOT / "examples/bank"
VERBS = ("serve", "command", "projector", "query", "check", "send", "replay", "parked", "verify", "events", "topics",
         "config", "man", "version")


class CommandLine(unittest.TestCase):
    def test_every_verb_helps_and_has_a_man_page(self):
        overview = harness.run("--help")
        self.assertEqual(overview.returncode, 0)
        for verb in VERBS:
            with self.subTest(verb):
                self.assertIn(f"  {verb} ", overview.stdout)
                text = harness.run(verb, "--help")
                self.assertEqual(text.returncode, 0, text.stderr)
                self.assertTrue(text.stdout.startswith(f"Usage: cairn {verb}"))
                self.assertLessEqual(max(map(len, text.stdout.splitlines())), 80)
                page = harness.run("man", verb)
                self.assertEqual(page.returncode, 0)
                self.assertIn(".SH OPTIONS", page.stdout)

    def test_wrong_usage_is_exit_2_and_one_line(self):
        for arguments in (["nothing"], ["serve"], ["serve", BANK, "extra"], ["serve", BANK, "--colour", "red"],
                          ["serve", BANK, "--listen"], ["serve", BANK, "--queue", "many"], ["man", "nothing"],
                          ["parked", "eat", BANK], ["parked", "retry", BANK], ["parked", "drop", BANK, "--view", "balances"]):
            with self.subTest(arguments):
                done = harness.run(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("cairn: "))

    def test_flag_beats_environment_beats_file_beats_default(self):
        with harness.folder() as folder:
            path = folder / "cairn.conf"
            path.write_text("# settings\nqueue = 5\ncache = 7\nlog-level = warn\n")
            env = {**os.environ, "CAIRN_CACHE": "8", "CAIRN_LOG_LEVEL": "error"}
            done = harness.run("config", "--config", path, "--log-level", "debug", env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = {line.split(" = ")[0].strip(): line for line in done.stdout.splitlines() if " = " in line}
            for name, value, source in (("queue", "5", "file"), ("cache", "8", "environment"),
                                        ("log-level", "debug", "flag"), ("feeds", "200", "default")):
                self.assertIn(f"= {value}", lines[name])
                self.assertIn(source, lines[name])

    def test_the_reference_page_is_fresh(self):
        done = harness.run("config", "--reference")
        self.assertEqual(done.stdout, (ROOT / "docs/reference/configuration.md").read_text(),
                         "run: cairn config --reference > docs/reference/configuration.md")

    def test_the_metrics_page_is_whole(self):
        with harness.folder() as data, harness.Node(BANK, data) as node:
            answer = node.command("account", "m", "Open", {"owner": "ada"})
            node.get("/views/balances/m", Cairn_Position=answer.json["position"])
            found = set(re.findall(r"^# TYPE (\S+)", node.get("/metrics").body.decode(), re.MULTILINE))
        page = (ROOT / "docs/reference/metrics.md").read_text()
        self.assertEqual(found, set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)))

    def test_a_start_that_cannot_work_says_what_to_do(self):
        with harness.folder() as folder, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            broken = folder / "broken"
            shutil.copytree(BANK, broken)
            (broken / "account.lua").write_text("local x = = 1\n")
            plain = folder / "plain"
            plain.write_text("")
            for name, arguments, words in (
                    ("no domain", [folder / "nothing"], "nothing"),
                    ("port taken", [BANK, "--data", folder / "a", "--listen", f"127.0.0.1:{port}"], str(port)),
                    ("bad script", [broken, "--data", folder / "b"], "account.lua:1"),
                    ("data is a file", [BANK, "--data", plain], "plain"),
                    ("unknown log", [BANK, "--data", folder / "c", "--log", "tape:1"], "tape")):
                with self.subTest(name):
                    done = harness.run("serve", *arguments, timeout=harness.PATIENCE_S)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertEqual(done.stdout, "")
                    last = done.stderr.splitlines()[-1]
                    self.assertTrue(last.startswith("cairn: "), last)
                    self.assertIn(words, last)

    def test_check_passes_the_examples_and_names_faults(self):
        for example in ("bank", "shop"):
            done = harness.run("check", ROOT / "examples" / example)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with harness.folder() as folder:
            shutil.copytree(BANK, folder / "bank")
            spec = folder / "bank/specs/account.json"
            content = json.loads(spec.read_text())
            expected = next(e for one in content["specs"] if isinstance(one["then"], list)
                            for e in one["then"] if "amount" in e["data"])
            expected["data"]["amount"] += 7777
            spec.write_text(json.dumps(content))
            done = harness.run("check", folder / "bank")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(str(expected["data"]["amount"]), done.stdout)
            (folder / "bank/schemas/commands/Deposit.json").write_text('{"type": 7}')
            done = harness.run("check", folder / "bank")
            self.assertEqual(done.returncode, 1)
            self.assertIn("Deposit.json", done.stdout)
            self.assertEqual(done.stderr, f"cairn: {folder / 'bank'} has 1 fault\n")

    def test_events_prints_cloudevents(self):
        with harness.folder() as data:
            with harness.Node(BANK, data) as node:
                node.command("account", "e", "Open", {"owner": "ada"})
                node.command("account", "e", "Deposit", {"amount": 5})
                node.command("account", "f", "Open", {"owner": "bob"})
            done = harness.run("events", BANK, "--data", data)
            events = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual([event["subject"] for event in events], ["account-e", "account-e", "account-f"])
            self.assertEqual([event["position"] for event in events], ["0:1", "0:2", "0:3"])
            after = harness.run("events", BANK, "--data", data, "--after", "0:1", "--limit", "1")
            self.assertEqual(json.loads(after.stdout)["type"], "Deposited")
            stream = harness.run("events", BANK, "--data", data, "--stream", "account-f")
            self.assertEqual(len(stream.stdout.splitlines()), 1)
            none = harness.run("events", BANK, "--data", data / "nothing")
            self.assertEqual(none.returncode, 1)
            self.assertIn("--data", none.stderr)

    def test_signals_stop_cleanly_and_keep_feeds_from_holding_on(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with harness.folder() as data, harness.Node(BANK, data) as node:
                feed = socket.create_connection(("127.0.0.1", node.port))
                feed.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
                self.assertIn(b"200", feed.recv(4096))
                node.process.send_signal(number)
                self.assertEqual(node.process.wait(harness.PATIENCE_S), 0)
                feed.close()

    def test_verify_never_says_well_of_what_it_did_not_look_at(self):
        with harness.folder() as data:
            with harness.Node(BANK, data) as node:
                node.command("account", "a", "Open", {"owner": "ada"})
                self.assertEqual(node.get("/views/balances/a", Cairn_Position="0:1", Prefer="wait=60").status, 200)
            self.assertIn("all is well", harness.run("verify", BANK, "--data", data).stdout)
            harness.shutil.rmtree(data / "views")
            done = harness.run("verify", BANK, "--data", data)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("view balances: not compared", done.stdout)
            self.assertNotIn("all is well", done.stdout)
            self.assertIn("all is well", harness.run("verify", BANK, "--data", data, "--skip-views").stdout)
            for flags, words in ((("--view", "none"), 'no view "none"'), (("--view", "balances", "--skip-views"), "together")):
                done = harness.run("verify", BANK, "--data", data, *flags)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
            done = harness.run("verify", BANK, "--data", data / "none")
            self.assertEqual(done.returncode, 1)
            self.assertIn("--data", done.stderr)

    def test_a_database_that_cannot_be_is_refused_at_the_start(self):
        with harness.folder() as folder:
            (folder / "uri").write_text("")
            for verb in ("serve", "projector", "query", "check"):
                for given, words in (("nonsense", "not valid"), (f"file:{folder / 'uri'}", "is empty")):
                    place = () if verb == "check" else ("--data", folder / "data", "--listen", "127.0.0.1:0")
                    done = harness.run(verb, BANK, *place, "--postgres", given, timeout=harness.PATIENCE_S)
                    self.assertNotEqual(done.returncode, 0, (verb, given))
                    self.assertIn(words, done.stderr, (verb, given))

    def test_verify_finds_a_flipped_bit(self):
        with harness.folder() as data:
            with harness.Node(BANK, data) as node:
                for n in range(50):
                    node.command("account", f"v{n}", "Open", {"owner": "ada"})
            self.assertEqual(harness.run("verify", BANK, "--data", data).returncode, 0)
            segment = next((data / "log").rglob("*.seg"))
            content = bytearray(segment.read_bytes())
            at = content.index(b"account-v7")
            content[at + 8] ^= 1
            segment.write_bytes(content)
            done = harness.run("verify", BANK, "--data", data)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(segment.name, done.stdout + done.stderr)


class Send(unittest.TestCase):
    def test_every_line_is_accounted_for(self):
        with harness.folder() as folder, harness.Node(BANK, folder / "data") as node:
            lines = [{"aggregate": "account", "id": "s", "command": "Open", "data": {"owner": "x"}}]
            lines += [{"aggregate": "account", "id": "s", "command": "Deposit", "data": {"amount": 1}, "key": f"k{n}"}
                      for n in range(2500)]
            lines += [{"aggregate": "account", "id": "s", "command": "Withdraw", "data": {"amount": 10 ** 9}}]
            lines += [{"aggregate": "account", "id": "s", "command": "Deposit", "data": {}}]
            path = folder / "commands.ndjson"
            path.write_text("\n".join(map(json.dumps, lines)) + "\n\nnot json\n")
            for _ in range(2):
                done = harness.run("send", path, "--to", node.url, "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                summary = json.loads(done.stdout)
                self.assertEqual(summary["answered"], len(lines) + 1)
            self.assertEqual(summary["kinds"]["malformed"], 1)
            self.assertEqual(summary["kinds"]["invalid"], 1)
            self.assertEqual(node.get("/views/balances/s", Cairn_Position=node.get(
                "/events?after=end").headers["cairn-position"]).json["balance"], 2500)

    def test_no_service_is_a_clear_error(self):
        with harness.folder() as folder:
            path = folder / "one.ndjson"
            path.write_text('{"aggregate":"account","id":"s","command":"Open","data":{"owner":"x"}}\n')
            done = harness.run("send", path, "--to", "http://127.0.0.1:1", "--retry-for", "0s")
            self.assertEqual(done.returncode, 1)
            self.assertIn("is the service running", done.stderr)


if __name__ == "__main__":
    harness.main()
