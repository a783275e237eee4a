#!/usr/bin/env python3
"""The live feed: everything, in order, and exactly from where a client left off."""
import json
import socket
import threading
import unittest

import harness
from harness import ROOT

BANK = ROOT / "examples/bank"


class Feed:
    """A Server-Sent Events client on a plain socket."""

    def __init__(self, node, path, last_id=None):
        self.socket = socket.create_connection(("127.0.0.1", node.port), timeout=harness.PATIENCE_S)
        resume = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{resume}\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.file.readline()

    def next(self):
        """The next event: (id, type, data)."""
        fields = {}
        while True:
            line = self.file.readline().decode()
            if not line:
                raise EOFError
            if line in ("\n", "\r\n"):
                if "data" in fields:
                    return fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}
                continue
            name, _, value = line.rstrip("\r\n").partition(":")
            if name and not line.startswith((":", "0", "1")):
                fields[name] = value.lstrip()

    def close(self):
        self.file.close()
        self.socket.close()


class LiveFeed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.node = cls.stack.enter_context(harness.Node(BANK, cls.stack.enter_context(harness.folder())))
        cls.node.command("account", "one", "Open", {"owner": "ada"})
        for amount in range(1, 6):
            cls.node.command("account", "one", "Deposit", {"amount": amount})

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def test_it_starts_at_the_beginning_and_goes_on_live(self):
        feed = Feed(self.node, "/events")
        self.assertIn(b"text/event-stream", feed.head)
        first = [feed.next() for _ in range(6)]
        self.assertEqual([kind for _, kind, _ in first], ["Opened"] + ["Deposited"] * 5)
        self.assertEqual([event["streamversion"] for _, _, event in first], [1, 2, 3, 4, 5, 6])
        self.assertEqual(first[0][0], "0:1")
        self.assertEqual(first[0][2]["specversion"], "1.0")
        answer = self.node.command("account", "live", "Open", {"owner": "bob"})
        while True:
            position, _, event = feed.next()
            if event["subject"] == "account-live":
                self.assertEqual(position, answer.json["position"])
                break
        feed.close()

    def test_it_resumes_behind_the_last_event_id(self):
        feed = Feed(self.node, "/events", last_id="0:4")
        self.assertEqual(feed.next()[0], "0:5")
        feed.close()
        both = Feed(self.node, "/events?after=0:1", last_id="0:3")
        self.assertEqual(both.next()[0], "0:4")
        both.close()

    def test_after_end_waits_for_what_comes_next(self):
        feed = Feed(self.node, "/events?after=end")
        answer = self.node.command("account", "next", "Open", {"owner": "eve"})
        self.assertEqual(feed.next()[2]["id"], answer.json["events"][0]["id"])
        feed.close()

    def test_filters_leave_out_the_rest(self):
        feed = Feed(self.node, "/events?type=Deposited&aggregate=account")
        amounts = [feed.next()[2]["data"]["amount"] for _ in range(5)]
        self.assertEqual(amounts, [1, 2, 3, 4, 5])
        feed.close()

    def test_many_feeds_see_the_same_under_load(self):
        feeds = [Feed(self.node, "/events?after=end&type=Deposited") for _ in range(20)]
        writers = [threading.Thread(target=lambda: [
            self.node.command("account", "one", "Deposit", {"amount": 1}) for _ in range(20)]) for _ in range(4)]
        for writer in writers:
            writer.start()
        seen = [[feed.next()[0] for _ in range(80)] for feed in feeds]
        for writer in writers:
            writer.join()
        for one in seen:
            self.assertEqual(one, seen[0])
            offsets = [int(position.split(":")[1]) for position in one]
            self.assertEqual(offsets, sorted(set(offsets)))
        for feed in feeds:
            feed.close()

    def test_a_bad_position_is_bad_query(self):
        for path in ("/events?after=x", "/events?after=0:-1", "/events?colour=red"):
            answer = self.node.get(path, Accept="text/event-stream")
            self.assertEqual((answer.status, answer.json["type"]), (400, "/problems/bad-query"), path)


if __name__ == "__main__":
    harness.main()
