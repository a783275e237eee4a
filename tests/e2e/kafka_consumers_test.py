#!/usr/bin/env python3
"""Programs that know nothing of Cairn read its topics: the examples and the page about them do what they say.

What they read is compared with what the node itself tells.
"""
import contextlib
import datetime
import fcntl
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import unittest

import harness
import kafka
from harness import ROOT, wait_until

BANK = ROOT / "examples/bank"
EXAMPLES = ROOT / "examples/consumers"
PAGE = ROOT / "docs/how-to/consume-events.md"
REQUIREMENTS = ROOT / "tests/e2e/requirements.txt"
TOPIC = "bank.account"
ACCOUNTS = 12
INSTALL_S = 600
RUN_S = 300
# The page starts a node twice, and a Java program; all that one after the other.
PAGE_S = 600
# How long the console consumer waits for more; the second one where a busy machine was slow to let it in.
CONSOLE_MS = (15000, 60000)

HEADER = r"(?:ce_[a-z]+|content-type|traceparent)"
ABORTER = """
import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "transactional.id": "somebody-else"})
producer.init_transactions()
producer.begin_transaction()
for partition in range(int(sys.argv[3])):
    producer.produce(sys.argv[2], key="ghost", value=b"never", partition=partition, headers={"ce_id": "ghost"})
assert producer.flush(60) == 0
producer.abort_transaction()
"""


def python():
    """Python with the packages of requirements.txt. The environment is made once, in build/consumers."""
    home = ROOT / "build/consumers"
    wanted = REQUIREMENTS.read_text()
    stamp = home / "requirements.txt"
    home.parent.mkdir(exist_ok=True)
    with open(f"{home}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            for words in ([sys.executable, "-m", "venv", home],
                          [home / "bin/pip", "install", "-q", "-r", REQUIREMENTS]):
                done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_S, check=False)
                if done.returncode != 0:
                    raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
            stamp.write_text(wanted)
    return home / "bin/python"


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=RUN_S, check=False,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def read_headers(text, sign):
    """Headers as the command line tools print them: name, sign, value, with commas between."""
    pairs = re.split(f",(?={HEADER}{sign})", text)
    return dict(pair.split(sign, 1) for pair in pairs)


def by_stream(events):
    """Lists by stream, each in the order in which its events were read."""
    streams = {}
    for stream, *rest in events:
        streams.setdefault(stream, []).append(tuple(rest))
    return streams


def read_time(text):
    return datetime.datetime.fromisoformat(text)


class Consumers(unittest.TestCase):
    """One broker and one node for all: nothing here changes what was written before.

    ends: where the log ends, by partition, as the answers told
    """

    ends = {}

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.python = python()
        cls.broker = cls.stack.enter_context(kafka.Broker())
        cls.folder = cls.stack.enter_context(harness.folder())
        flags = ["--log", f"kafka:{cls.broker.bootstrap}"]
        cls.node = cls.stack.enter_context(harness.Node(BANK, cls.folder / "data", flags=flags))
        cls.partitions = cls.broker.cli("TopicCommand", "--describe", "--topic", TOPIC).count("\tPartition: ")
        cls.fill()

    @classmethod
    def fill(cls):
        """Events in every partition, a command of two, one sent twice, one refused, and rolled back ones between."""
        for account in range(ACCOUNTS):
            cls.send(account, "Open", {"owner": f"Ünal, {account}"}, Idempotency_Key=f"open,{account}=1:2")
            cls.send(account, "Deposit", {"amount": 1000 + account})
        run(cls.python, "-c", ABORTER, cls.broker.bootstrap, TOPIC, cls.partitions)
        for account in range(ACCOUNTS):
            cls.send(account, "Open", {"owner": f"Ünal, {account}"}, Idempotency_Key=f"open,{account}=1:2")
            cls.send(account, "Withdraw", {"amount": 10**9}, status=409)
            cls.send(account, "Withdraw", {"amount": account + 1}, X_Correlation_Id=f"bought, {account}")
            if account % 3 == 0:
                cls.send(account, "Close", {})

    @classmethod
    def send(cls, account, command, data, status=None, **headers):
        answer = cls.node.command("account", f"number-{account}", command, data, **headers)
        if answer.status not in ([status] if status else [200, 201]):
            raise AssertionError(f"{command}: {answer.status} {answer.body}")
        for pair in filter(None, answer.headers.get("cairn-position", "").split(",")):
            partition, end = map(int, pair.split(":"))
            cls.ends[partition] = max(end, cls.ends.get(partition, 0))

    @classmethod
    def events(cls):
        """All events as the node tells them over HTTP, with everything that was sent."""
        items, after = [], ""
        position = ",".join(f"{partition}:{end}" for partition, end in sorted(cls.ends.items()))
        while True:
            page = cls.node.get(f"/events?limit=1000{after}", Cairn_Position=position).json
            items += page["items"]
            if "next" not in page:
                return items
            after = f"&after={page['next']}"

    def check_lines(self, lines, sign):
        """lines: partition, offset, key, headers of each record, in the order they were printed."""
        told = self.events()
        self.assertEqual(len(lines), len(told), "each event once, none that was rolled back")
        read = [(partition, int(offset), key, read_headers(text, sign)) for partition, offset, key, text in lines]
        self.assertEqual(
            by_stream((h["ce_subject"], h["ce_id"], int(h["ce_streamversion"]), h["ce_type"], h["ce_time"],
                       h["ce_source"], h["ce_dataschema"], h.get("ce_correlationid")) for *_, h in read),
            by_stream((e["subject"], e["id"], e["streamversion"], e["type"], e["time"],
                       e["source"], e["dataschema"], e.get("correlationid")) for e in told))
        for _, _, key, headers in read:
            self.assertEqual(headers["ce_subject"], f"account-{key}")
            self.assertEqual(headers["content-type"], "application/msgpack")
        for partition in {line[0] for line in read}:
            here = [line for line in read if line[0] == partition]
            offsets = [line[1] for line in here]
            self.assertEqual(offsets, sorted(set(offsets)))
            self.assertGreater(offsets[-1] + 1, len(offsets), "markers and what was rolled back leave gaps")
            streams = {headers["ce_subject"] for *_, headers in here}
            self.assertEqual([headers["ce_id"] for *_, headers in here],
                             [event["id"] for event in told if event["subject"] in streams])

    def test_kcat_sees_what_the_node_tells(self):
        printed = run(EXAMPLES / "kcat.sh", self.broker.bootstrap, TOPIC)
        lines = [line.split("\t") for line in printed.splitlines()]
        self.assertGreater(len({line[0] for line in lines}), 1, "more partitions than one have events")
        self.check_lines(lines, "=")
        first = run(EXAMPLES / "kcat.sh", self.broker.bootstrap, TOPIC, "-p", lines[0][0])
        self.assertEqual(first.splitlines(), [line for line in printed.splitlines() if line.startswith(lines[0][0])])

    def test_the_console_consumer_sees_what_the_node_tells(self):
        count = len(self.events())
        printed = self.print_on_console(CONSOLE_MS[0])
        if len(printed) < count:
            printed = self.print_on_console(CONSOLE_MS[1])
        lines = []
        for line in printed:
            partition, offset, headers, key = line.split("\t")
            lines.append((partition.removeprefix("Partition:"), offset.removeprefix("Offset:"), key, headers))
        self.check_lines(lines, ":")

    def print_on_console(self, wait_ms):
        return run(EXAMPLES / "console.sh", self.broker.bootstrap, TOPIC, "--timeout-ms", wait_ms).splitlines()

    def consume(self, database, *flags):
        return [self.python, EXAMPLES / "consume.py", self.broker.bootstrap, TOPIC, database, *flags]

    def check_table(self, database):
        told = self.events()
        with contextlib.closing(sqlite3.connect(database)) as opened:
            rows = opened.execute("SELECT stream, id, version, type, time, data FROM events ORDER BY rowid").fetchall()
        self.assertEqual(
            by_stream((*row[:4], read_time(row[4]), json.loads(row[5])) for row in rows),
            by_stream((e["subject"], e["id"], e["streamversion"], e["type"], read_time(e["time"]), e["data"])
                      for e in told))
        return len(rows)

    def test_python_stores_each_event_once_through_a_kill(self):
        database = self.folder / "killed.db"
        words = [str(word) for word in self.consume(database, "--group", "killed")]
        with subprocess.Popen(words) as process:
            try:
                count = len(self.events())
                wait_until(lambda: self.is_stored(database, count), "it has stored all")
                self.send("killed", "Open", {"owner": "while it follows"})
                wait_until(lambda: self.is_stored(database, count + 1), "it has stored what came")
            finally:
                process.kill()
        self.send("killed", "Deposit", {"amount": 1})
        rest = run(*self.consume(database, "--group", "killed", "--until-end"))
        self.assertRegex(rest, r"^1 events stored, \d+ known")
        count = self.check_table(database)
        again = run(*self.consume(database, "--group", "anew", "--until-end"))
        self.assertEqual(again, f"0 events stored, {count} known before\n", "a new group reads all of them again")
        self.assertEqual(self.check_table(database), count)

    @staticmethod
    def is_stored(database, count):
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as opened:
            try:
                return opened.execute("SELECT COUNT(*) FROM events").fetchone()[0] == count
            except sqlite3.OperationalError:
                return False

    def test_a_java_producer_would_choose_the_same_partitions(self):
        lines = run(EXAMPLES / "kcat.sh", self.broker.bootstrap, TOPIC).splitlines()
        ours = {line.split("\t")[2]: line.split("\t")[0] for line in lines}
        self.broker.create_topic("keys", partitions=self.partitions)
        self.broker.cli("ConsoleProducer", "--topic", "keys", "--property", "parse.key=true",
                        stdin="".join(f"{key}\tx\n" for key in ours))
        lines = run(EXAMPLES / "kcat.sh", self.broker.bootstrap, "keys").splitlines()
        self.assertEqual({line.split("\t")[2]: line.split("\t")[0] for line in lines}, ours)


class Page(unittest.TestCase):
    def test_the_page_works_when_pasted(self):
        python()
        with kafka.Broker() as broker, harness.folder() as folder:
            script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
            # The test's own broker stands for the one of the page.
            script = re.sub(r"^tools/kafka (up|down) .*$", ":", script, flags=re.MULTILINE)
            script = script.replace("/tmp/", f"{folder}/").replace("build/release/cairn", harness.BINARY)
            script = script.replace("127.0.0.1:8081", f"127.0.0.1:{kafka.free_ports(1)}")
            script = script.replace("127.0.0.1:19092", broker.bootstrap)
            script = f"set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{script}"
            # The tool ends what the script started as well, which would hold the pipe open.
            done = subprocess.run(["timeout", "-k", "10", str(PAGE_S), "bash", "-c", script], cwd=ROOT,
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for words in ("\tada\tce_specversion=1.0,ce_id=", "{'amount': 10000}\n{'amount': 2500}\n",
                          ",ce_streamversion:3,", "3 events stored, 0 known before\n", "('account-ada', 7500)\n",
                          'ada\t{"amount":4200}\n'):
                self.assertIn(words, done.stdout)


if __name__ == "__main__":
    harness.main()
