"""The benchmark `sql` of tests/bench/run: views in PostgreSQL against loops over libpq, on a server of its own."""
import http.client
import json
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAIN = ROOT / "tests/bench/sql"
VIEWS = ("entries", "totals", "states")
EVENTS = 500000
CUSTOMERS = 4000
OPEN_ORDERS = 20000
STATES = ("paid", "packed", "shipped")
# As many events as a build and a live generation take at a time.
BUILD_BATCH, LIVE_BATCH = 32768, 4096
# Loops that go event by event are slow and even: a part tells.
SHORT = 10000
COMMANDS = 300
SEED = 20240229
# The best of these is the baseline of each view; all of them for what they are.
BATCHED = {"entries": ("copied", "arrays"), "totals": ("folded",), "states": ("folded",)}
CONTENT = {
    "entries": "id, version, customer, amount, at",
    "totals": "customer, events, amount",
    "states": "id, customer, state, moves, amount",
}


def write_commands(path):
    """Orders that are placed and then moved three times, many of them open at a time."""
    chance = random.Random(SEED)
    opened, placed = [], 0
    with open(path, "w", encoding="utf-8") as out:
        for _ in range(EVENTS):
            data = {"customer": f"c{chance.randrange(CUSTOMERS)}", "amount": chance.randrange(1, 1000)}
            # One of four is new; one of two until so many are open.
            if not opened or chance.randrange(4) < (2 if len(opened) < OPEN_ORDERS else 1):
                name, verb = f"o{placed}", "Place"
                placed += 1
                opened.append([name, 0])
            else:
                at = chance.randrange(len(opened))
                name, moved = opened[at]
                verb, data["state"] = "Move", STATES[moved]
                opened[at][1] += 1
                if moved + 1 == len(STATES):
                    opened[at] = opened[-1]
                    opened.pop()
            out.write(json.dumps({"aggregate": "order", "id": name, "command": verb, "data": data}) + "\n")


class SqlBench:
    def __init__(self, bench, server, uri_of):
        self.bench, self.server, self.uri_of = bench, server, uri_of
        self.work = bench.work / "sql"
        self.work.mkdir()
        self.events = self.work / "events.tsv"
        self.databases = 0

    # ---- what is there before the clock starts ----

    def make_log(self):
        commands = self.work / "commands.ndjson"
        write_commands(commands)
        self.data = self.work / "data"
        with self.bench.harness.Node(self.domain_of(), self.data, "command", flags=("--log-level", "warn")) as node:
            self.bench.send(node, commands)
        found = self.bench.harness.run("events", DOMAIN, "--data", self.data)
        with open(self.events, "w", encoding="utf-8") as out:
            for line in found.stdout.splitlines():
                event = json.loads(line)
                data = event["data"]
                out.write("\t".join((event["type"], event["subject"].partition("-")[2], str(event["streamversion"]),
                                     data["customer"], str(data["amount"]), data.get("state", "-"),
                                     event["time"])) + "\n")

    def domain_of(self, view=None):
        """The domain with one of its views, or none."""
        folder = self.work / f"domain-{view}"
        if not folder.exists():
            shutil.copytree(DOMAIN, folder)
            for path in (folder / "views").iterdir():
                if path.stem != view:
                    path.unlink()
        return folder

    def database(self):
        self.databases += 1
        name = f"bench{self.databases}"
        self.server.psql(f"CREATE DATABASE {name}")
        self.server.psql("CHECKPOINT")
        return name

    def psql(self, database, sql):
        return self.server.psql(sql, "-d", self.uri_of(database))

    def sum_of(self, database, view, schema):
        return self.psql(database, f"SELECT count(*), md5(string_agg(md5(row({CONTENT[view]})::text), '' ORDER BY "
                                   f"row({CONTENT[view]})::text COLLATE \"C\")) FROM {schema}.{view}")

    # ---- what is measured ----

    def bare(self, view, mode, batch, limit=EVENTS):
        """Events/s, microseconds of a turn, and what the table holds."""
        database = self.database()
        text = (DOMAIN / f"views/{view}.sql").read_text(encoding="utf-8")
        table = text.partition("-- table:\n")[2].partition("-- on:")[0]
        self.psql(database, f"{table} CREATE TABLE checkpoint (at bigint); INSERT INTO checkpoint VALUES (0)")
        out = subprocess.run([self.bench.build / "bench/bench_bare_sql", self.uri_of(database), self.events, view,
                              mode, str(batch), str(limit)], capture_output=True, text=True, check=False)
        if out.returncode != 0:
            raise SystemExit(out.stderr)
        found = self.sum_of(database, view, "public")
        self.psql("postgres", f"DROP DATABASE {database}")
        rate, turn = map(float, out.stdout.split())
        return rate, turn, found

    def projector(self, view, database, data):
        return self.bench.harness.Node(self.domain_of(view), data, "projector",
                                       flags=("--postgres", self.uri_of(database)))

    def await_events(self, node, view, wanted):
        """Returns when the live view has applied so many."""
        pattern = re.compile(rf'^cairn_view_events_total{{view="{view}"}} (\d+)$', re.MULTILINE)
        until = time.monotonic() + 120
        while True:
            found = pattern.search(node.get("/metrics").body.decode())
            if found and int(found.group(1)) >= wanted:
                return
            if time.monotonic() > until:
                raise SystemExit(f"{view} stands still: {found}")
            time.sleep(0.005)

    def ours_built(self, view):
        """A build: from the start of the process to the switch."""
        database = self.database()
        begin = time.monotonic()
        with self.projector(view, database, self.data) as node:
            while '"view switched"' not in node.log_text():
                time.sleep(0.002)
            seconds = time.monotonic() - begin
        found = self.sum_of(database, view, "orders")
        self.psql("postgres", f"DROP DATABASE {database}")
        return EVENTS / seconds, found

    def ours_caught_up(self, view):
        """A live view that is behind: from the start of the process to the end of the log."""
        database = self.database()
        empty = self.work / "empty"
        if not empty.exists():
            with self.bench.harness.Node(self.domain_of(), empty, "command"):
                pass
        with self.projector(view, database, empty) as node:
            while '"view switched"' not in node.log_text():
                time.sleep(0.002)
        begin = time.monotonic()
        with self.projector(view, database, self.data) as node:
            self.await_events(node, view, EVENTS)
            seconds = time.monotonic() - begin
        found = self.sum_of(database, view, "orders")
        self.psql("postgres", f"DROP DATABASE {database}")
        return EVENTS / seconds, found

    def measure_view(self, view):
        rates, sums = {}, set()

        def note(name, found):
            rates.setdefault(name, []).append(found[0])
            return found[-1]

        for _ in range(self.bench.options.rounds):
            for batch, name, ours in ((BUILD_BATCH, "build", self.ours_built), (LIVE_BATCH, "live", self.ours_caught_up)):
                sums.add(note(name, ours(view)))
                for mode in BATCHED[view]:
                    sums.add(note(f"{mode} {batch}", self.bare(view, mode, batch)))
            note("single", self.bare(view, "single", LIVE_BATCH, SHORT))
            note("trips", self.bare(view, "trips", LIVE_BATCH, SHORT))
            if view == "entries":
                sums.add(note("copy", self.bare(view, "copy", EVENTS)))
        if len(sums) != 1:
            raise SystemExit(f"{view}: not everybody has the same rows: {sums}")
        self.tell(view, rates)

    def tell(self, view, rates):
        """Ratios are of the same round, and then the median: what else the machine does changes between rounds."""
        def note(name, ours, bare):
            self.bench.note(f"{view} {name}", statistics.median(rates[ours]), "/s", statistics.median(rates[bare]),
                            statistics.median(a / b for a, b in zip(rates[ours], rates[bare])))

        for name, batch in (("build", BUILD_BATCH), ("live", LIVE_BATCH)):
            for mode in BATCHED[view]:
                note(f"{name}, against {mode} by {batch}", name, f"{mode} {batch}")
            note(f"{name}, against a statement a transaction", name, "single")
            note(f"{name}, against a round trip an event", name, "trips")
        if "copy" in rates:
            note("build, against COPY alone", "build", "copy")

    def measure_latency(self):
        """From sending a command to a read that has it, one client on one connection; microseconds, p50."""
        turns, parts = [], []
        for turn in range(self.bench.options.rounds):
            turns.append(self.bare("states", "single", 1, COMMANDS)[1])
            database = self.database()
            with self.bench.harness.Node(self.domain_of("states"), self.work / f"latency-{turn}",
                                         flags=("--postgres", self.uri_of(database), "--log-level", "warn")) as node:
                line = http.client.HTTPConnection(node.host, node.port)
                seen = [self.see_command(line, n) for n in range(COMMANDS)]
                line.close()
            parts.append([statistics.median(part) for part in zip(*seen)])
            self.psql("postgres", f"DROP DATABASE {database}")
        commit = statistics.median(turns)
        command, visible, read = (statistics.median(part) for part in zip(*parts))
        self.bench.note("p50 of a command and a read that has it", visible, "us", commit)
        self.bench.note("of these, the command", command, "us", commit)
        self.bench.note("a read again", read, "us", commit)

    @staticmethod
    def see_command(line, number):
        """Microseconds to the command's answer, to that of a read that waits for it, and of a read more."""
        def ask(verb, path, body=None, headers=None):
            line.request(verb, path, body, headers or {})
            answer = line.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise SystemExit(text)
            return answer

        begin = time.perf_counter()
        done = ask("POST", f"/commands/order/o{number}/Place", '{"customer":"c1","amount":1}',
                   {"Content-Type": "application/json"})
        commanded = time.perf_counter()
        ask("GET", f"/views/states/o{number}", headers={"Cairn-Position": done.headers["cairn-position"],
                                                         "Prefer": "wait=60"})
        seen = time.perf_counter()
        ask("GET", f"/views/states/o{number}")
        return (commanded - begin) * 1e6, (seen - begin) * 1e6, (time.perf_counter() - seen) * 1e6


def run(bench):
    # Of tests/e2e, which tests/bench/run puts into the path.
    import postgres
    import sql_shop
    with postgres.Postgres() as server:
        mine = SqlBench(bench, server, lambda name: sql_shop.database_uri(server, name))
        mine.make_log()
        for view in VIEWS:
            mine.measure_view(view)
        mine.measure_latency()
