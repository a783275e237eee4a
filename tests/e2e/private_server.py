"""A private server for a test, on free ports and in a folder of its own: what Kafka and PostgreSQL share. Standard library only."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOG_BYTES = 8000
# Servers outlive whoever starts them. This waits for the end of the test's process, however it comes, and cleans up.
GUARD = """exec 3<&0
(cat <&3; if [ -d "$2" ]; then "$1" down --wipe --folder "$2/cluster"; rm -rf "$2"; fi) >/dev/null 2>&1 &"""


class PrivateServer:
    """What a tool of tools/ starts in a folder and removes. A context manager; the end of it stops and removes everything.

    tool:    the program. Its verbs are up, down, kill, pause, continue and restart, its flag --folder.
    tool_s:  the longest that one of them may take.
    flags:   of up.
    parts:   what kill, pause, resume and restart take where they are told nothing.
    answer:  what up printed.
    """

    tool = None
    tool_s = None
    parts = ()

    def __init__(self, flags):
        self.flags = flags
        self.home = None
        self.guard = None
        self.answer = None

    @property
    def folder(self):
        return self.home / "cluster"

    def run(self, verb, *arguments, check=True, stdin=""):
        """Runs the tool on this server; returns the finished process with its output as text."""
        words = [str(word) for word in (self.tool, verb, "--folder", self.folder, *arguments)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=self.tool_s, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{self.tool.name} {verb}: exit {done.returncode}: {done.stderr}{self.logs()}")
        return done

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"cairn-{self.tool.name}-"))
        # A server's own user passes through, where a test runs as root.
        self.home.chmod(0o711)
        self.guard = subprocess.Popen(["sh", "-c", GUARD, "guard", str(self.tool), str(self.home)],
                                      stdin=subprocess.PIPE, start_new_session=True)
        self.guard.wait()
        try:
            self.answer = self.run("up", *self.flags).stdout.strip()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.logs(), file=sys.stderr)
        self.remove()

    def remove(self):
        try:
            self.run("down", "--wipe")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            self.guard.stdin.close()

    def kill(self, *parts):
        """SIGKILL to its processes, or to those of some parts; returns when they are gone."""
        self.run("kill", *(parts or self.parts))

    def pause(self, *parts):
        """SIGSTOP; returns when they stand still."""
        self.run("pause", *(parts or self.parts))

    def resume(self, *parts):
        """SIGCONT."""
        self.run("continue", *(parts or self.parts))

    def restart(self, *parts):
        """Starts it again, after a stop where it runs; returns when it answers."""
        self.run("restart", *(parts or self.parts))

    def log_paths(self):
        """Where its processes write their logs."""
        raise NotImplementedError

    def logs(self):
        """The ends of its logs, for messages of failed tests."""
        return "".join(f"\n--- {path.relative_to(self.folder)}\n{path.read_text(errors='replace')[-LOG_BYTES:]}"
                       for path in self.log_paths())
