"""Starts the real binary and talks to it, for the tests of this folder. Standard library only."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CAIRN_BINARY", str(ROOT / "build/release/cairn"))
SHARED_DATA = ROOT.parent / "shared" / "data"
START_S = 300
# The longest that anything may take which a test waits for: a hint that it never comes, not a promise of how soon.
PATIENCE_S = 120

# What a sanitizer says first, for the presets that build the binary with one.
SANITIZER = re.compile(r"==\d+==ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|\.[ch]:\d+:\d+: runtime error: ")


def wait_until(done, what, wait_s=PATIENCE_S):
    """Waits until done() is true; returns what it gave. what: what did not come about, or a function that tells it."""
    until = time.monotonic() + wait_s
    while not (given := done()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {wait_s} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return given


def refuse_reports(text):
    """Fails the test where the binary's standard error holds a sanitizer's report."""
    found = SANITIZER.search(text)
    if found:
        raise AssertionError(f"the binary met a fault:\n{text[found.start():found.start() + 8000]}")


class Answer:
    """A response, read whole."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Node:
    """A serving process on a free port. Use as a context manager; kill() is kill -9.

    The end of the context stops a process that still runs, and fails where one that nobody killed does not end with exit
    status 0, also before its time, or where a sanitizer had something to say.
    """

    host = "127.0.0.1"

    def __init__(self, domain, data, verb="serve", flags=()):
        self.arguments = [BINARY, verb, str(domain), "--data", str(data), "--listen", f"{self.host}:0", *flags]
        self.process = None
        self.killed = False
        self.port = None
        self.log = None

    def open_log(self):
        """Where the process writes its log lines."""
        return tempfile.NamedTemporaryFile(prefix="cairn-e2e-", suffix=".log")

    def start(self):
        self.log, self.killed = self.open_log(), False
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=self.log, text=True)
        timer = threading.Timer(START_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith("ready http://"):
            self.process.wait()
            end = self.log_text()[-8000:]
            raise AssertionError(f"no ready line but {line!r}, exit {self.process.returncode}: {end}")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def log_text(self):
        # Opened anew: a seek on the descriptor that the process writes to would move its next line.
        with open(f"/proc/self/fd/{self.log.fileno()}", encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for_log(self, text):
        """Waits until the process has logged text."""
        wait_until(lambda: text in self.log_text(), lambda: f"{text!r} in the log: {self.log_text()[-4000:]}")

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            status = 0 if self.killed else self.stop()
            text = self.log_text()
        finally:
            self.process.stdout.close()
            self.log.close()
        refuse_reports(text)
        if status != 0:
            told = f"exit {status}: {text[-4000:]}"
            if kind is None:
                raise AssertionError(told)
            print(told, file=sys.stderr)

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE_S):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            sent = dict(headers or {})
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                sent.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        """headers: with _ for -. Where they ask for a position and not how long to wait for it: as long as is allowed."""
        if "Cairn_Position" in headers:
            headers.setdefault("Prefer", "wait=60")
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def wait_for_views(self):
        """Waits until every view that is served holds all that the log holds, so that a stop leaves nothing unbuilt.

        However long that takes, as long as one of them moves.
        """
        seen = None
        while seen is None or any(state != "live" or lag != 0 for state, lag, *_ in seen):
            before = seen
            seen = wait_until(lambda: (now := self.views()) != before and now, lambda: f"views move on from {before}")

    def views(self):
        """(state, lag, position, rebuild) of each view; those in SQL are not among them where there is no database."""
        return [(one["state"], one["lag"], one["position"], one.get("rebuild")) for one in self.get("/views").json["items"]
                if "--postgres" not in one.get("error", {}).get("detail", "")]

    def command(self, aggregate, id, command, data, **headers):
        return self.request("POST", f"/commands/{aggregate}/{id}/{command}", data,
                            {k.replace("_", "-"): v for k, v in headers.items()})


def run(*arguments, timeout=600, **options):
    """Runs the binary to its end; returns the finished process with its output as text."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **options)
    refuse_reports(done.stderr)
    return done


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="cairn-e2e-")
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def skip_loudly(reason):
    print(f"SKIPPED: {reason}", file=sys.stderr)
    raise unittest.SkipTest(reason)


def main():
    """unittest's main with a closing line that says how many passed."""
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    passed = max(0, result.testsRun - failed - len(result.skipped))
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(1 if failed or result.testsRun == 0 else 0)
