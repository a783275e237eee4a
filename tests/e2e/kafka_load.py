"""Clients that load the bank on Kafka, and the check of what became of it. Standard library and kcat.

The check reads the topic as any consumer would and compares it with what clients were told and with what nodes show:
nothing acknowledged lost, nothing doubled, versions dense, order kept, no event of an aborted transaction seen.
"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import unittest

import harness
import kafka
from harness import PATIENCE_S, ROOT

BANK = ROOT / "examples/bank"
TOPIC = "bank.account"
ACCOUNTS = 12
CLIENTS = 6
LANES = 4
TELL_BYTES = 8000
# Three brokers on a machine that is busy with other things do not agree on a controller within Kafka's 2 s.
PATIENT = {"controller.quorum.request.timeout.ms": 10000, "controller.quorum.fetch.timeout.ms": 5000}
SEED = int(os.environ.get("CAIRN_KAFKA_SEED", str(random.SystemRandom().randrange(1 << 32))))

Record = collections.namedtuple("Record", "partition offset key headers")


class Member(harness.Node):
    """A node of a log on Kafka, with one file for the log lines of all its runs."""

    def __init__(self, bootstrap, folder, name, verb="serve", flags=()):
        super().__init__(BANK, folder / name, verb, ("--log", f"kafka:{bootstrap}", *flags))
        self.name, self.data, self.folder = name, folder / name, folder

    def open_log(self):
        return open(self.folder / f"{self.name}.log", "ab")

    def start_again(self):
        """On the port it had, which clients know."""
        self.arguments[self.arguments.index("--listen") + 1] = f"{self.host}:{self.port}"
        return self.start()

    def forget(self, *parts):
        """Deletes folders of its data while it is down."""
        for part in parts:
            shutil.rmtree(self.data / part)


def wait_until(done, what, wait_s=PATIENCE_S):
    """As the harness waits; returns what done() gave and the seconds that took."""
    began = time.monotonic()
    return harness.wait_until(done, what, wait_s), time.monotonic() - began


def partitions(one):
    return one.get("/partitions").json["items"]


def settle(nodes, lanes=LANES, wait_s=PATIENCE_S):
    """Waits until every lane has an owner that all nodes agree on, and each node its share; returns the lanes."""
    wanted = sorted(lanes // len(nodes) + (i < lanes % len(nodes)) for i in range(len(nodes)))
    seen = []

    def is_settled():
        seen[:] = [partitions(one) for one in nodes]
        owners = {tuple((p["partition"], p.get("node"), p["state"]) for p in items) for items in seen}
        shares = collections.Counter(p["node"] for p in seen[0] if p["state"] == "owned")
        return len(owners) == 1 and sorted(shares.values()) == wanted

    wait_until(is_settled, lambda: f"lanes do not settle: {seen}", wait_s)
    return seen[0]


def open_accounts(one):
    for account in range(ACCOUNTS):
        wait_until(lambda account=account: one.command("account", f"a{account}", "Open", {"owner": "x"}).status
                   in (201, 409), f"account a{account} cannot be opened")


class Case(unittest.TestCase):
    """Tests that share a cluster and the bank's log on it. A test has data folders of its own; where it fails, the ends
    of its nodes' log lines are printed."""

    brokers = 1

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        properties = PATIENT if cls.brokers > 1 else None
        cls.broker = cls.enterClassContext(kafka.Broker(cls.brokers, properties=properties))

    def run(self, result=None):
        with harness.folder() as self.folder:
            result = super().run(result)
            if any(test is self for test, _ in result.failures + result.errors):
                for path in sorted(self.folder.glob("*.log")):
                    print(f"--- {path.name}\n{path.read_text(errors='replace')[-TELL_BYTES:]}", file=sys.stderr)
        return result

    def member(self, name, verb="serve"):
        """A node that runs until the end of the test."""
        return self.enterContext(Member(self.broker.bootstrap, self.folder, name, verb))

    def load(self, nodes):
        return Load(nodes, SEED, self.id().rpartition(".")[2])

    def check(self, load, nodes):
        print("longest time without an answer: %.2f s of all, %.2f s of one client" % load.silence_s())
        check_log(self, self.broker.bootstrap, load.acknowledged, nodes)


# ---- Load


class Client(threading.Thread):
    """Deposits 1 again and again through any node, each with a key, and repeats a key until it has an answer."""

    def __init__(self, label, seed, nodes, stop):
        super().__init__(daemon=True)
        self.label, self.nodes, self.stopping = label, nodes, stop
        self.rng = random.Random(f"{seed}-{label}")
        self.acknowledged, self.answers = [], []  # (account, key, version); (when, after how long)
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.deposit(f"a{self.rng.randrange(ACCOUNTS)}", f"{self.label}-{len(self.acknowledged) + 1}")
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def deposit(self, account, key):
        began = time.monotonic()
        while (version := self.once(self.rng.choice(self.nodes), account, key)) is None:
            if time.monotonic() - began > PATIENCE_S:
                raise AssertionError(f"{key} got no answer in {PATIENCE_S} s")
            time.sleep(0.02)
        self.acknowledged.append((account, key, version))
        self.answers.append((time.monotonic(), time.monotonic() - began))

    @staticmethod
    def once(target, account, key):
        answer = attempt(target, account, key)
        if answer is None:
            return None
        if answer.status == 200:
            return answer.json["version"]
        assert answer.status == 503 and "retry-after" in answer.headers, (answer.status, answer.headers, answer.body)
        return None


def attempt(target, account, key, timeout=15):
    """One deposit; None where the node is away or ends in the middle of its answer."""
    try:
        return target.request("POST", f"/commands/account/{account}/Deposit", {"amount": 1},
                              {"Idempotency-Key": key}, timeout=timeout)
    except (OSError, harness.http.client.HTTPException):
        return None


def insist(target, account, command, data):
    """A command until it is carried out, however often nobody can just now; returns the answer."""
    key = f"{account}-{command}-{random.randrange(1 << 40)}"

    def ask():
        try:
            answer = target.command("account", account, command, data, Idempotency_Key=key)
        except (OSError, harness.http.client.HTTPException):
            return None
        assert answer.status in (200, 201, 502, 503), (answer.status, answer.body)
        return answer if answer.status < 300 else None

    return wait_until(ask, f"{command} of {account} got no answer")[0]


class Load:
    """Clients at work as long as the context lasts. What one of them met fails the test at the end."""

    def __init__(self, nodes, seed, name="load"):
        self.stop = threading.Event()
        self.clients = [Client(f"{name}-{i}", seed, nodes, self.stop) for i in range(CLIENTS)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        for client in self.clients:
            client.join()
        self.refuse_failures(kind)

    def refuse_failures(self, kind=None):
        failures = [client.failure for client in self.clients if client.failure]
        if failures and kind is None:
            raise failures[0]

    @property
    def acknowledged(self):
        return [one for client in self.clients for one in client.acknowledged]

    def go_on(self, count=3):
        """Waits until every client has had so many more answers; returns the seconds."""
        wanted = [len(client.answers) + count for client in self.clients]

        def missing():
            self.refuse_failures()
            return [max(0, enough - len(client.answers)) for client, enough in zip(self.clients, wanted)]

        began, left = time.monotonic(), missing()
        while any(left):
            before = left
            left = wait_until(lambda: (now := missing()) != before and now, lambda: f"answers for clients that lack {before}")[0]
        return time.monotonic() - began

    def silence_s(self, since=0.0):
        """The longest time in which no client had an answer, and that one client waited for one."""
        answers = sorted(one for client in self.clients for one in list(client.answers) if one[0] >= since)
        moments = [when for when, _ in answers]
        return (max((b - a for a, b in zip(moments, moments[1:])), default=0.0),
                max((took for _, took in answers), default=0.0))


# ---- What became of it


def read_topic(bootstrap, name=TOPIC, isolation="read_committed"):
    """Every record of a topic that nobody writes to now, in the order of each partition."""
    out = subprocess.run(
        ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-X", f"isolation.level={isolation}", "-t", name, "-o", "beginning",
         "-f", "%p\t%o\t%k\t%h\n"], capture_output=True, text=True, check=True, errors="replace",
        timeout=PATIENCE_S).stdout
    records = []
    for line in out.splitlines():
        partition, offset, key, headers = line.split("\t")
        headers = dict(pair.split("=", 1) for pair in headers.split(",") if "=" in pair)
        records.append(Record(int(partition), int(offset), key, headers))
    return records


def lanes_of_accounts(bootstrap):
    return {record.key: record.partition for record in read_topic(bootstrap)}


def leaders(bootstrap, topic):
    """The broker node that leads each partition of a topic, and the nodes in sync with it."""
    told = subprocess.run(["kcat", "-L", "-J", "-b", bootstrap, "-t", topic], capture_output=True, text=True,
                          check=True).stdout
    return {one["partition"]: (one["leader"], sorted(replica["id"] for replica in one["isrs"]))
            for one in json.loads(told)["topics"][0]["partitions"]}


def wait_in_sync(bootstrap, nodes):
    """Waits until every broker node follows every partition, so that the next one may be lost."""
    for topic in (TOPIC, "bank._cairn", "__transaction_state"):
        wait_until(lambda topic=topic: all(len(in_sync) == nodes for _, in_sync in leaders(bootstrap, topic).values()),
                   lambda topic=topic: f"{topic} does not get in sync: {leaders(bootstrap, topic)}")


def check_streams(test, records):
    """Each stream in one partition, its versions 1, 2, 3 in the order of the log. Returns the streams' lengths."""
    streams = collections.defaultdict(list)
    for record in records:
        streams[record.key].append((record.partition, int(record.headers["ce_streamversion"])))
    for key, seen in streams.items():
        test.assertEqual(seen, [(seen[0][0], version) for version in range(1, len(seen) + 1)], key)
    return {key: len(seen) for key, seen in streams.items()}


def check_keys(test, records, acknowledged):
    """No key was carried out twice, and what clients were told is in the log as they were told it."""
    found = {}
    for record in records:
        key = record.headers.get("ce_commandkey")
        if key is not None:
            test.assertNotIn(key, found, "a command was carried out twice")
            found[key] = (record.key, int(record.headers["ce_streamversion"]))
    for account, key, version in acknowledged:
        test.assertEqual(found.get(key), (account, version), f"{key} was acknowledged")


def events_of(one):
    """The ids of the events that a node shows, by partition; each lies one position behind the one before."""
    ids, offsets, after = collections.defaultdict(list), {}, None
    while True:
        page = one.get("/events?limit=1000" + (f"&after={after}" if after else "")).json
        for event in page["items"]:
            now = dict(map(int, pair.split(":")) for pair in event["position"].split(","))
            grown = [partition for partition in now if now[partition] != offsets.get(partition, 0)]
            assert len(grown) == 1 and now[grown[0]] == offsets.get(grown[0], 0) + 1, (offsets, event)
            ids[grown[0]].append(event["id"])
            offsets = now
        after = page.get("next")
        if after is None:
            return dict(ids)


def ids_of(records):
    ids = collections.defaultdict(list)
    for record in records:
        ids[record.partition].append(record.headers["ce_id"])
    return dict(ids)


def check_node(test, one, records, lengths):
    """A node that serves queries shows what a consumer reads, neither more nor less; so does its view."""
    wait_until(lambda: sum(map(len, events_of(one).values())) >= len(records),
               lambda: f"{one.data} does not show all events")
    test.assertEqual(events_of(one), ids_of(records))
    for account, length in lengths.items():
        wait_until(lambda: one.get(f"/views/balances/{account}").json.get("balance") == length - 1,
                   lambda: f"{account}: {one.get(f'/views/balances/{account}').body} at version {length}")


def read_all(bootstrap, acknowledged):
    """The topic once all that was acknowledged is visible: markers come behind the answers."""
    wanted = {key for _, key, _ in acknowledged}
    return wait_until(
        lambda: (records := read_topic(bootstrap)) and wanted <= {r.headers.get("ce_commandkey") for r in records}
        and records, lambda: f"acknowledged and lost: "
        f"{wanted - {r.headers.get('ce_commandkey') for r in read_topic(bootstrap)}}")[0]


def check_log(test, bootstrap, acknowledged, nodes):
    """All of the above, of a bank with deposits of 1 that nobody writes to now. nodes: those that serve queries."""
    records = read_all(bootstrap, acknowledged)
    lengths = check_streams(test, records)
    check_keys(test, records, acknowledged)
    for one in nodes:
        check_node(test, one, records, lengths)
    aborted = len(read_topic(bootstrap, isolation="read_uncommitted")) - len(records)
    print(f"checked: {len(records)} events, {len(acknowledged)} acknowledged commands, "
          f"{aborted} events of aborted transactions unseen", flush=True)
