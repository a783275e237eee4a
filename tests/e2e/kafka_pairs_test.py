#!/usr/bin/env python3
"""Two command nodes and two pairs of projector and query process on one Kafka, all behind one address.

CAIRN_KAFKA_SEED chooses the load; it is printed.
"""
import os
import random
import re
import threading
import unittest

import address
import feed_test
import harness
import kafka
from kafka_load import ACCOUNTS, BANK, LANES, Load, Member, attempt, events_of, insist, settle, wait_until

SEED = int(os.environ.get("CAIRN_KAFKA_SEED", str(random.SystemRandom().randrange(1 << 32))))
WRITERS = 4
WRITES = 10
FEED_PIECES = 8
FEED_PIECE = 40
FUTURE = "0:999999999"
NAMES = [f"a{number}" for number in range(ACCOUNTS)] + [f"w{number}" for number in range(WRITERS)]


def offsets(position):
    return dict(map(int, part.split(":")) for part in position.split(","))


def reached(have, want):
    have = offsets(have)
    return all(have.get(partition, 0) >= offset for partition, offset in offsets(want).items())


def deposit(front, account):
    """Returns its position."""
    return insist(front, account, "Deposit", {"amount": 1}).headers["cairn-position"]


def page_through(one, path, **headers):
    """Every item of a paged list."""
    items, more = [], {}
    while True:
        query = "&".join(f"{name}={value}" for name, value in {"limit": 1000, **more}.items())
        answer = one.get(f"{path}?{query}", **headers)
        assert answer.status == 200, (answer.status, answer.body)
        items += answer.json["items"]
        if "next" not in answer.json:
            return items, answer.headers["cairn-position"]
        more = {"cursor": answer.json["next"]}


def rows(one, position):
    return page_through(one, "/views/balances", Cairn_Position=position)[0]


def count_events(one):
    return sum(map(len, events_of(one).values()))


class Pair:
    """A projector and a query process that share a folder."""

    def __init__(self, stack, bootstrap, folder, name):
        self.projector = stack.enter_context(Member(bootstrap, folder, name, "projector"))
        self.query = stack.enter_context(Member(bootstrap, folder, name, "query"))
        self.query.name = f"{name}-query"
        self.data = self.projector.data


class Writer(threading.Thread):
    """Deposits into an account of its own, and after each answer reads it back in every way, each time of whoever gets
    the request: with the position of the write nobody may answer from before it."""

    def __init__(self, number, front, writes=None, wait_s=2):
        super().__init__(daemon=True)
        self.front, self.writes, self.wait = front, writes, f"wait={wait_s}"
        self.account, self.prefix = f"w{number}", f"w{number}-{random.randrange(1 << 40)}"
        self.stopping, self.failure = threading.Event(), None
        self.written, self.refused, self.seen = 0, 0, None

    def run(self):
        try:
            self.seen = self.read("/events?after=end", None).headers["cairn-position"]
            while not self.stopping.is_set() and self.written != self.writes:
                self.write()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def write(self):
        key = f"{self.prefix}-{self.written}"

        def deposit():
            answer = attempt(self.front, self.account, key)
            return answer if answer is not None and answer.status == 200 else None

        answer = wait_until(deposit, f"{key} got no answer")[0]
        self.check(answer.json["version"], answer.headers["cairn-position"], answer.json["events"][0]["id"])
        self.written += 1

    def check(self, version, position, event):
        row = self.read(f"/views/balances/{self.account}", position).json
        assert row["balance"] == version - 1, (row, version)
        newest = self.read(f"/streams/account-{self.account}?direction=backward&limit=1", position).json["items"][0]
        assert (newest["streamversion"], newest["id"]) == (version, event), (newest, version)
        state = self.read(f"/streams/account-{self.account}/state", position).json
        assert (state["version"], state["state"]["balance"]) == (version, version - 1), (state, version)
        page = self.read(f"/events?after={self.seen}&limit=1000", position)
        assert event in [one["id"] for one in page.json["items"]], (event, self.seen, page.headers)
        assert "next" not in page.json
        self.seen = page.headers["cairn-position"]

    def read(self, path, position):
        """One read that was answered; a process that is away, or behind, is asked again."""
        headers = {"Cairn-Position": position, "Prefer": self.wait} if position else {}

        def ask():
            try:
                answer = self.front.request("GET", path, None, headers)
            except (OSError, harness.http.client.HTTPException):
                answer = None
            if answer is not None and answer.status == 200:
                return answer
            assert answer is None or answer.status in (502, 503), (path, answer.status, answer.body)
            self.refused += 1
            return None

        answer = wait_until(ask, f"{path} got no answer")[0]
        assert not position or reached(answer.headers["cairn-position"], position), (path, answer.headers, position)
        return answer

    def end(self):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure


class Writers:
    """Writers at work as long as the context lasts, or as long as each has its number of writes to do."""

    def __init__(self, *options):
        self.writers = [Writer(number, *options) for number in range(WRITERS)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, kind, *_):
        for writer in self.writers:
            if writer.writes is not None and kind is None:
                writer.join()
        for writer in self.writers:
            writer.end()

    def go_on(self, count=3):
        """Waits until each has written and read back so many times more."""
        wanted = [writer.written + count for writer in self.writers]

        def is_enough():
            failures = [writer.failure for writer in self.writers if writer.failure]
            if failures:
                raise failures[0]
            return all(writer.written >= enough for writer, enough in zip(self.writers, wanted))

        wait_until(is_enough, "nothing is written and read back any more")

    @property
    def refused(self):
        return sum(writer.refused for writer in self.writers)


class Fed:
    """What a client of the feed has seen that comes back again and again, with the last id it has."""

    def __init__(self):
        self.last, self.count, self.ids = None, 0, {}

    def open(self, front):
        return feed_test.Feed(front, "/events", self.last)

    def read(self, front, count):
        self.take(self.open(front), count)

    def take(self, feed, count):
        """So many events of an open feed, each right behind the one before in its partition."""
        for _ in range(count):
            before = offsets(self.last) if self.last else {}
            self.last, _, event = feed.next()
            moved = {(partition, offset - before.get(partition, 0)) for partition, offset in offsets(self.last).items()
                     if offset != before.get(partition, 0)}
            (partition, by), = moved
            assert by == 1, (before, self.last)
            self.ids.setdefault(partition, []).append(event["id"])
        self.count += count
        feed.close()


class KafkaPairs(unittest.TestCase):
    """One cluster for all; the tests go on in the order of their names."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.stack = harness.contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.broker = cls.stack.enter_context(kafka.Broker())
        cls.folder = cls.stack.enter_context(harness.folder())
        bootstrap = cls.broker.bootstrap
        cls.commands = [cls.stack.enter_context(Member(bootstrap, cls.folder, name, "command"))
                        for name in ("one", "two")]
        settle(cls.commands)
        cls.pairs = [cls.join(name) for name in ("a", "b")]
        cls.queries = [pair.query for pair in cls.pairs]
        cls.front = cls.stack.enter_context(address.Address(cls.commands, cls.queries))
        for account in NAMES:
            insist(cls.front, account, "Open", {"owner": "x"})

    @classmethod
    def join(cls, name):
        return Pair(cls.stack, cls.broker.bootstrap, cls.folder, name)

    def end(self):
        """Where the log ends, once all queries are there: an event more in each partition, when nobody else writes."""
        end = {}
        for account in NAMES:
            end.update(offsets(deposit(self.front, account)))
        self.assertEqual(sorted(end), list(range(LANES)))
        position = ",".join(f"{partition}:{offset}" for partition, offset in sorted(end.items()))
        for query in self.queries:
            there = query.get("/events?limit=1", Cairn_Position=position)
            self.assertEqual(there.status, 200, there.body)
        return position

    def assert_all_the_same(self):
        """Rows and events of all pairs; returns where the log ends."""
        end = self.end()
        wanted = rows(self.queries[0], end), events_of(self.queries[0])
        self.assertEqual(len(wanted[0]), len(NAMES))
        self.assertEqual(count_events(self.queries[0]), sum(offsets(end).values()))
        for query in self.queries[1:]:
            self.assertEqual((rows(query, end), events_of(query)), wanted)
        return end

    def verify(self, data, *flags):
        return harness.run("verify", BANK, "--data", data, "--log", f"kafka:{self.broker.bootstrap}", *flags)

    def assert_verified(self, data, *flags):
        """Once the replica is as far as the topics, which nobody waits for who asks no query of it."""
        def verified():
            done = self.verify(data, *flags)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("all is well", done.stdout)
            told = re.search(r"^topics: (\d+) events of \d+ commands in 16 streams, 1 topics of 4 partitions, 0 faults; "
                             r"the replica holds the same (\d+) of them$", done.stdout, re.M)
            self.assertIsNotNone(told, done.stdout)
            return told[1] == told[2]

        wait_until(verified, "the replica holds all")

    def test_1_a_write_is_read_back_of_whoever_gets_the_request(self):
        with Writers(self.front, WRITES, 60) as writers:
            pass
        self.assertEqual(writers.refused, 0)
        asked = {port for line, port in self.front.taken if line.startswith("GET ")}
        self.assertEqual(asked, {query.port for query in self.queries})
        self.assertEqual({port for line, port in self.front.taken if line.startswith("POST ")},
                         {node.port for node in self.commands})
        self.assert_all_the_same()

    def test_2_a_feed_goes_on_at_the_other_pair(self):
        fed = Fed()
        with Load([self.front], SEED, 3) as load:
            for _ in range(FEED_PIECES):
                fed.read(self.front, FEED_PIECE)
            load.go_on()
        self.end()
        fed.read(self.front, count_events(self.queries[0]) - fed.count)
        for query in self.queries:
            self.assertEqual(fed.ids, events_of(query))
        feeds = {port for line, port in self.front.taken if line == "GET /events HTTP/1.1"}
        self.assertEqual(feeds, {query.port for query in self.queries})

    def test_3_projectors_end_and_are_killed_in_the_middle(self):
        with Writers(self.front) as writers:
            for pair, other, end in ((*self.pairs, Member.stop), (*self.pairs[::-1], Member.kill)):
                writers.go_on()
                end(pair.projector)
                position = deposit(self.front, "a0")
                behind = pair.query.get("/views/balances/a0", Cairn_Position=position, Prefer="wait=0")
                self.assertEqual((behind.status, behind.json["type"]), (503, "/problems/view-behind"))
                self.assertEqual(pair.query.get("/views/balances/a0").status, 200)
                ahead = other.query.get("/views/balances/a0", Cairn_Position=position)
                self.assertEqual(ahead.status, 200, ahead.body)
                fed = Fed()
                fed.read(other.query, count_events(other.query))
                feed = fed.open(pair.query)  # where the last event seen is not known yet
                pair.projector.start_again()
                caught_up = pair.query.get("/views/balances/a0", Cairn_Position=position)
                self.assertEqual(caught_up.status, 200, caught_up.body)
                fed.take(feed, 2 * WRITERS)
            writers.go_on()
        print(f"{writers.refused} reads were refused and asked again", flush=True)
        self.assert_all_the_same()
        for pair in self.pairs:
            self.assert_verified(pair.data)

    def test_4_a_replica_is_deleted_under_a_query_process(self):
        pair = self.pairs[0]
        self.end()
        known = pair.query.get("/streams/account-a0?direction=backward&limit=1").json["items"][0]
        fed = Fed()
        fed.read(pair.query, count_events(pair.query))
        pair.projector.stop()
        pair.projector.forget("replica")
        position = deposit(self.front, "a0")
        self.assertEqual(pair.query.get("/views/balances/a0").status, 200)
        gone = pair.query.get("/streams/account-a0")
        self.assertEqual((gone.status, gone.json["type"]), (503, "/problems/stopping"))
        pair.projector.start_again()

        def is_there():
            try:
                answer = pair.query.get("/streams/account-a0?direction=backward&limit=1", Cairn_Position=position)
            except (OSError, harness.http.client.HTTPException):
                return None  # it opens the new replica
            assert answer.status in (200, 503), (answer.status, answer.body)
            return answer if answer.status == 200 else None

        answer = wait_until(is_there, "the query process does not find the new replica")[0]
        self.assertEqual(answer.json["items"][0]["streamversion"], known["streamversion"] + 1)
        fed.read(pair.query, 1)
        self.assertEqual(fed.ids, events_of(pair.query))
        self.assert_all_the_same()
        self.assert_verified(pair.data)

    def test_5_a_pair_that_comes_late_has_it_all(self):
        with Writers(self.front) as writers:
            late = self.join("c")
            self.queries.append(late.query)
            writers.go_on(2 * len(self.queries))
        self.assert_all_the_same()
        self.assert_verified(late.data)
        self.assert_verified(self.commands[0].data, "--skip-views")

    def test_6_reading_needs_no_broker(self):
        position = self.assert_all_the_same()
        wanted = rows(self.queries[0], position)
        self.broker.kill(1)
        for query in self.queries:
            self.assertEqual(rows(query, position), wanted)
            stream = query.get("/streams/account-a0?limit=1000", Cairn_Position=position)
            self.assertEqual(len(stream.json["items"]), query.get("/streams/account-a0/state").json["version"])
            self.assertEqual(count_events(query), sum(offsets(position).values()))
            for path in ("/views/balances/a0", "/streams/account-a0", "/streams/account-a0/state", "/events"):
                ahead = query.get(path, Cairn_Position=FUTURE, Prefer="wait=0")
                self.assertEqual((ahead.status, ahead.json["type"]), (503, "/problems/view-behind"), path)
                self.assertIn("retry-after", ahead.headers)
                self.assertTrue(reached(ahead.headers["cairn-position"], position), ahead.headers)
        self.broker.restart(1)
        with Writers(self.front, 3):
            pass
        self.assert_all_the_same()


if __name__ == "__main__":
    harness.main()
