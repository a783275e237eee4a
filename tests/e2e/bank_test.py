#!/usr/bin/env python3
"""The promises of the command and query API, through the real binary and the bank example."""
import json
import threading
import unittest
import urllib.parse

import harness
from harness import ROOT

BANK = ROOT / "examples/bank"


class Bank(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.data = cls.stack.enter_context(harness.folder())
        cls.node = cls.stack.enter_context(harness.Node(BANK, cls.data))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def opened(self, id):
        answer = self.node.command("account", id, "Open", {"owner": "ada"})
        self.assertEqual(answer.status, 201, answer.body)
        return answer

    def test_a_new_stream_is_201_with_location_etag_and_position(self):
        answer = self.opened("new-1")
        self.assertEqual(answer.headers["location"], "/streams/account-new-1")
        self.assertEqual(answer.headers["etag"], '"1"')
        self.assertEqual(answer.headers["cairn-position"], answer.json["position"])
        self.assertEqual(answer.json["stream"], "account-new-1")
        self.assertEqual(answer.json["version"], 1)
        self.assertEqual(len(answer.json["events"]), 1)
        self.assertIn("x-request-id", answer.headers)

    def test_a_second_command_is_200_and_counts_on(self):
        self.opened("count-1")
        answer = self.node.command("account", "count-1", "Deposit", {"amount": 100})
        self.assertEqual((answer.status, answer.json["version"], answer.headers["etag"]), (200, 2, '"2"'))
        self.assertNotIn("location", answer.headers)

    def test_the_same_key_gives_the_same_answer(self):
        self.opened("key-1")
        first = self.node.command("account", "key-1", "Deposit", {"amount": 5}, Idempotency_Key="k-1")
        again = self.node.command("account", "key-1", "Deposit", {"amount": 5}, Idempotency_Key="k-1")
        self.assertEqual(first.json, again.json)
        self.assertNotIn("idempotency-replayed", first.headers)
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        other = self.node.command("account", "key-1", "Deposit", {"amount": 6}, Idempotency_Key="k-1")
        self.assertEqual(other.status, 422)
        self.assertEqual(other.headers["content-type"].split(";")[0], "application/problem+json")

    def test_one_key_at_the_same_moment_appends_once(self):
        self.opened("race-1")
        answers = []

        def send():
            answers.append(self.node.command("account", "race-1", "Deposit", {"amount": 1}, Idempotency_Key="race"))

        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual({answer.json["version"] for answer in answers}, {2})

    def test_expected_versions(self):
        self.opened("version-1")
        good = self.node.command("account", "version-1", "Deposit", {"amount": 1}, If_Match='"1"')
        self.assertEqual(good.status, 200)
        stale = self.node.command("account", "version-1", "Deposit", {"amount": 1}, If_Match='"1"')
        self.assertEqual(stale.status, 412)
        self.assertEqual(stale.json["type"], "/problems/version-conflict")
        self.assertEqual((stale.json["expected"], stale.json["actual"]), (1, 2))
        self.assertEqual(stale.headers["etag"], '"2"')
        exists = self.node.command("account", "version-1", "Open", {"owner": "b"}, If_None_Match="*")
        self.assertEqual(exists.status, 412)

    def test_refusals_say_why(self):
        cases = [
            ("POST", "/commands/nothing/1/Open", {"owner": "a"}, None, 404, "unknown-aggregate"),
            ("POST", "/commands/account/1/Nothing", {}, None, 404, "unknown-command"),
            ("POST", "/commands/account/1/Deposit", "{", {"Content-Type": "application/json"}, 400, "malformed"),
            ("POST", "/commands/account/1/Deposit", "x", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
            ("POST", "/commands/account/1/Deposit", {"amount": "x"}, None, 422, "invalid"),
            ("POST", "/commands/account/never/Deposit", {"amount": 1}, None, 409, "rejected"),
            ("GET", "/commands/account/1/Deposit", None, None, 405, "method-not-allowed"),
            ("GET", "/nowhere", None, None, 404, "not-found"),
            ("GET", "/views/nothing", None, None, 404, "not-found"),
            ("GET", "/views/balances?colour=eq.red", None, None, 400, "bad-query"),
        ]
        for method, path, body, headers, status, slug in cases:
            with self.subTest(path=path, slug=slug):
                answer = self.node.request(method, path, body, headers)
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.headers["content-type"].split(";")[0], "application/problem+json")
                self.assertEqual(answer.json["type"], f"/problems/{slug}")
                self.assertEqual(answer.json["status"], status)
                self.assertIn("title", answer.json)
                self.assertIn("detail", answer.json)

    def test_all_faults_of_a_body_are_told(self):
        answer = self.node.command("account", "faults-1", "Deposit", {"amount": -1, "colour": "red"})
        self.assertEqual(answer.status, 422)
        self.assertGreaterEqual(len(answer.json["errors"]), 1)
        for fault in answer.json["errors"]:
            self.assertEqual(set(fault), {"pointer", "keyword", "message"})

    def test_a_view_answers_from_behind_the_command(self):
        self.opened("read-1")
        answer = self.node.command("account", "read-1", "Deposit", {"amount": 4200})
        row = self.node.get("/views/balances/read-1", Cairn_Position=answer.headers["cairn-position"])
        self.assertEqual(row.status, 200, row.body)
        self.assertEqual(row.json["balance"], 4200)
        self.assertEqual(row.json["key"], "read-1")
        self.assertIn("cairn-position", row.headers)
        cached = self.node.get("/views/balances/read-1", If_None_Match=row.headers["etag"])
        self.assertEqual((cached.status, cached.body), (304, b""))

    def test_a_position_never_reached_is_view_behind(self):
        answer = self.node.get("/views/balances", Cairn_Position="0:999999999", Prefer="wait=0")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json["type"], "/problems/view-behind")
        self.assertIn("retry-after", answer.headers)

    def test_filters_are_joined_negated_and_rows_cut_to_members(self):
        for id, owner, amount in (("tree-1", "Joan Marsh", 100), ("tree-2", "John, (Jr)", 200), ("tree-3", "Jane Marsh", 300)):
            self.node.command("account", id, "Open", {"owner": owner})
            position = self.node.command("account", id, "Deposit", {"amount": amount}).json["position"]

        def page(**filters):
            query = urllib.parse.urlencode({"key": "like.tree-*", **filters})
            answer = self.node.get(f"/views/balances?{query}", Cairn_Position=position)
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json["items"]

        for filters, keys in (
            ({"or": '(owner.eq."John, (Jr)",and(balance.gt.50,not.balance.gt.150))'}, "12"),
            ({"not.or": "(owner.like.*Marsh,balance.eq.1)"}, "2"),
            ({"not.and": "(owner.like.J*,balance.in.(100,300))"}, "2"),
            ({"owner": "like.*o*", "order": "balance.desc"}, "21"),
            ({"owner": "not.like.Jo*"}, "3"),
            ({"status": "is.null"}, ""),
            ({"status": "not.is.null", "balance": "not.in.(100,200)"}, "3"),
        ):
            self.assertEqual([row["key"] for row in page(select="key", **filters)], [f"tree-{n}" for n in keys], filters)
        self.assertEqual(page(select="owner,none", balance="lt.150"), [{"key": "tree-1", "owner": "Joan Marsh"}])
        refused = self.node.get("/views/balances?or=(owner.eq.a,colour.eq.red)")
        self.assertEqual((refused.status, refused.json["type"]), (400, "/problems/bad-query"))
        self.assertIn('"colour"', refused.json["detail"])

    def test_streams_state_and_events(self):
        self.opened("stream-1")
        for amount in (1, 2, 3):
            self.node.command("account", "stream-1", "Deposit", {"amount": amount})
        page = self.node.get("/streams/account-stream-1?limit=3").json
        self.assertEqual([item["streamversion"] for item in page["items"]], [1, 2, 3])
        self.assertIn("next", page)
        back = self.node.get("/streams/account-stream-1?direction=backward&limit=2").json
        self.assertEqual([item["streamversion"] for item in back["items"]], [4, 3])
        event = page["items"][1]
        self.assertEqual((event["specversion"], event["subject"], event["data"]["amount"]),
                         ("1.0", "account-stream-1", 1))
        state = self.node.get("/streams/account-stream-1/state?version=3").json
        self.assertIn("3", json.dumps(state))
        events = self.node.get("/events?aggregate=account&type=Deposited&limit=2").json
        self.assertEqual({item["type"] for item in events["items"]}, {"Deposited"})
        self.assertEqual(self.node.get("/streams/account-nobody").status, 404)

    def test_a_batch_answers_each_line_in_order(self):
        lines = [
            {"aggregate": "account", "id": "batch-1", "command": "Open", "data": {"owner": "x"}, "expected": 0},
            {"aggregate": "account", "id": "batch-1", "command": "Deposit", "data": {"amount": 10}, "key": "b-1"},
            {"aggregate": "account", "id": "batch-1", "command": "Deposit", "data": {"amount": -10}},
            {"aggregate": "account", "id": "batch-1", "command": "Withdraw", "data": {"amount": 1000}},
            {"aggregate": "account", "id": "batch-1", "command": "Deposit", "data": {"amount": 10}, "key": "b-1"},
        ]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        answer = self.node.request("POST", "/commands", body, {"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer.body)
        answers = [json.loads(line) for line in answer.body.decode().splitlines()]
        self.assertEqual([a["status"] for a in answers], [201, 200, 422, 409, 200])
        self.assertEqual(answers[1]["version"], answers[4]["version"])
        array = self.node.request("POST", "/commands", lines[3:4], {"Content-Type": "application/json"})
        self.assertEqual([a["status"] for a in array.json], [409])

    def test_every_process_tells_of_itself(self):
        self.assertEqual(self.node.get("/health/live").status, 200)
        self.assertEqual(self.node.get("/health/ready").status, 200)
        self.assertIn(b"cairn_http_requests_total", self.node.get("/metrics").body)
        api = self.node.get("/openapi.json").json
        self.assertTrue(api["openapi"].startswith("3."))
        self.assertIn(b"<html", self.node.get("/docs").body.lower())
        self.assertIn(b"<html", self.node.get("/").body.lower())


class Restart(unittest.TestCase):
    def test_a_stop_and_a_start_change_nothing(self):
        with harness.folder() as data:
            with harness.Node(BANK, data) as node:
                node.command("account", "a", "Open", {"owner": "ada"})
                first = node.command("account", "a", "Deposit", {"amount": 7}, Idempotency_Key="once")
                self.assertEqual(node.stop(), 0)
            harness.shutil.rmtree(data / "index")
            with harness.Node(BANK, data) as node:
                again = node.command("account", "a", "Deposit", {"amount": 7}, Idempotency_Key="once")
                self.assertEqual(again.json, first.json)
                row = node.get("/views/balances/a", Cairn_Position=first.headers["cairn-position"]).json
                self.assertEqual(row["balance"], 7)

    def test_a_second_writer_is_refused(self):
        with harness.folder() as data, harness.Node(BANK, data):
            second = harness.run("serve", BANK, "--data", data, "--listen", "127.0.0.1:0", timeout=harness.PATIENCE_S)
            self.assertEqual(second.returncode, 1)
            self.assertEqual(second.stdout, "")
            self.assertIn("cairn:", second.stderr.splitlines()[-1])

    def test_three_processes_share_a_folder(self):
        with harness.folder() as data, harness.Node(BANK, data, "command") as command, \
                harness.Node(BANK, data, "projector") as projector, harness.Node(BANK, data, "query") as query:
            harness.wait_until(lambda: projector.get("/health/ready").status == 200, "the projector is ready")
            command.command("account", "p", "Open", {"owner": "ada"})
            answer = command.command("account", "p", "Deposit", {"amount": 3})
            row = query.get("/views/balances/p", Cairn_Position=answer.headers["cairn-position"])
            self.assertEqual((row.status, row.json["balance"]), (200, 3))
            stream = query.get("/streams/account-p", Cairn_Position=answer.headers["cairn-position"])
            self.assertEqual(len(stream.json["items"]), 2)


if __name__ == "__main__":
    harness.main()
