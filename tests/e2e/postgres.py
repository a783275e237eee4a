"""A private PostgreSQL for a test, on a free port and in a folder of its own. Standard library only."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from kafka import GUARD, LOG_BYTES

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/postgres"
TOOL_S = 300


class Postgres:
    """A server with its superuser. Use as a context manager; the end of it stops and removes everything.

    settings: lines of its configuration, by name.
    uri:      of its superuser, with the password, as --postgres takes it.
    """

    def __init__(self, settings=None):
        self.flags = [word for name, value in (settings or {}).items() for word in ("--setting", f"{name}={value}")]
        self.home = None
        self.guard = None
        self.uri = None

    @property
    def folder(self):
        return self.home / "cluster"

    def run(self, verb, *arguments, check=True, stdin=""):
        """Runs tools/postgres on this server; returns the finished process with its output as text."""
        words = [str(word) for word in (TOOL, verb, "--folder", self.folder, *arguments)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=TOOL_S, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"tools/postgres {verb}: exit {done.returncode}: {done.stderr}{self.log()}")
        return done

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cairn-postgres-"))
        # The server's user passes through, where a test runs as root.
        self.home.chmod(0o711)
        self.guard = subprocess.Popen(["sh", "-c", GUARD, "guard", str(TOOL), str(self.home)], stdin=subprocess.PIPE,
                                      start_new_session=True)
        self.guard.wait()
        try:
            self.uri = self.run("up", "--port", 0, *self.flags).stdout.strip()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log(), file=sys.stderr)
        self.remove()

    def remove(self):
        try:
            self.run("down", "--wipe")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            self.guard.stdin.close()

    def kill(self):
        """SIGKILL to all its processes; returns when they are gone."""
        self.run("kill")

    def pause(self):
        """SIGSTOP to all its processes; returns when they stand still."""
        self.run("pause")

    def resume(self):
        """SIGCONT."""
        self.run("continue")

    def restart(self):
        """Starts it again, after a stop in good order where it runs; returns when it answers."""
        self.run("restart")

    def psql(self, sql, *flags):
        """Runs SQL, which must succeed; returns the rows, a line each, with columns separated by |."""
        done = self.run("psql", "-At", "-q", "-v", "ON_ERROR_STOP=1", *flags, stdin=sql)
        return done.stdout.rstrip("\n")

    def log(self):
        """The end of the server's log, for messages of failed tests."""
        path = self.folder / "postgres.log"
        return f"\n--- {path.name}\n{path.read_text(errors='replace')[-LOG_BYTES:]}" if path.exists() else ""
