#!/usr/bin/env python3
"""tools/postgres and the Postgres that tests start with it: what it acknowledged stays, and it can be lost and stopped."""
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

import harness
import postgres
from harness import wait_until
from kafka_tool_test import is_there

HOLDER = """
import sys
sys.path.insert(0, {here!r})
import postgres
with postgres.Postgres() as server:
    print(server.psql("SELECT pg_backend_pid()"), server.home, flush=True)
    sys.stdin.read()
"""


def tool(*words, interpreter=sys.executable, **options):
    return subprocess.run([interpreter, "-B", str(postgres.TOOL), *map(str, words)], capture_output=True, text=True,
                          timeout=postgres.TOOL_S, check=False, **options)


def processes(server):
    """The processes whose command line names the server's folder, and those that they started."""
    first = int(re.search(r"pid (\d+)", server.run("status", check=False).stdout).group(1))
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True, check=False)
    return [first, *map(int, found.stdout.split())]


def segments_of(pids):
    """Numbers of the System V shared memory segments that these processes made; other servers come and go meanwhile."""
    lines = [line.split() for line in pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {words[1] for words in lines if int(words[4]) in pids}


class OneServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(postgres.Postgres())

    def test_up_twice_says_the_same_and_starts_nothing(self):
        self.assertRegex(self.server.uri, r"^postgresql://postgres:[\w-]+@127\.0\.0\.1:\d+/postgres$")
        before = processes(self.server)[0]
        again = self.server.run("up")
        self.assertEqual(again.stdout, self.server.uri + "\n", "one line and nothing else")
        self.assertEqual(processes(self.server)[0], before)
        self.assertIn(f"running: PostgreSQL at 127.0.0.1:{self.server.uri.split(':')[-1].split('/')[0]} in ",
                      self.server.run("status").stdout)

    def test_it_syncs_and_speaks_utf8_and_wants_the_password(self):
        self.assertEqual(self.server.psql("SHOW fsync; SHOW synchronous_commit; SHOW server_encoding"), "on\non\nUTF8")
        self.assertEqual(self.server.psql("SELECT 'Müller', NULL, 1"), "Müller||1")
        self.assertEqual(self.server.run("psql", "-d", "template1", "-Atc", "SELECT current_database()").stdout, "template1\n")
        wrong = re.sub(r":[\w-]+@", ":wrong@", self.server.uri)
        program = [path for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql")][-1]
        done = subprocess.run([program, wrong, "-c", "SELECT 1"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("password authentication failed", done.stderr)
        self.assertNotIn(self.server.uri.split(":")[2].split("@")[0], self.server.run("status").stdout)

    def test_a_failed_statement_is_an_exit_status(self):
        done = self.server.run("psql", "-c", "SELECT 1/0", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("division by zero", done.stderr)

    def test_a_row_outlives_a_kill_a_stop_and_a_restart(self):
        self.server.psql("CREATE TABLE rows (n int)")
        started = set()
        for number, verbs in enumerate((("kill", "restart"), ("down", "up"), ("restart",), ("kill", "up"))):
            self.server.psql(f"INSERT INTO rows VALUES ({number})")
            there = processes(self.server)
            started.add(there[0])
            self.assertEqual(len(segments_of(there[:1])), 1, "what is looked for is there while it runs")
            for verb in verbs:
                done = self.server.run(verb)
                if verb in ("kill", "down"):
                    self.assertEqual([pid for pid in there if is_there(pid)], [])
                    self.assertEqual(self.server.run("status", check=False).returncode, 3)
                    self.assertEqual(self.server.run("kill", check=False).returncode, 1, "nothing is left to kill")
                elif verb == "up":
                    self.assertEqual(done.stdout.strip(), self.server.uri, "on the port and with the password it had")
            self.assertEqual(self.server.psql("SELECT count(*) FROM rows"), str(number + 1))
        self.assertEqual(segments_of(started - {processes(self.server)[0]}), set(), "no kill leaves memory behind")

    def test_a_paused_server_is_silent_until_it_continues(self):
        self.server.pause()
        self.assertEqual(self.server.run("status", check=False).returncode, 4)
        self.assertIn("paused: ", self.server.run("status", check=False).stdout)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.server.psql("SELECT 1")))
        asking.start()
        asking.join(0.3)
        self.assertEqual(answers, [])
        self.server.resume()
        asking.join(postgres.TOOL_S)
        self.assertEqual(answers, ["1"])
        self.server.pause()
        self.assertEqual(self.server.run("up").stdout, self.server.uri + "\n", "up wakes it")
        self.assertEqual(self.server.psql("SELECT 1"), "1")
        self.server.pause()
        there = processes(self.server)
        self.server.run("down")
        self.assertEqual([pid for pid in there if is_there(pid)], [], "down needs no waking first")
        self.server.run("up")

    def test_it_never_runs_as_root(self):
        owner = os.stat(f"/proc/{processes(self.server)[0]}").st_uid
        self.assertEqual(owner, os.geteuid() or owner)
        self.assertNotEqual(owner, 0)


class Surroundings(unittest.TestCase):
    def test_nothing_stays_of_a_killed_server_that_is_wiped(self):
        with postgres.Postgres(settings={"max_connections": 17}) as server:
            self.assertEqual(server.psql("SHOW max_connections"), "17")
            home, first = server.home, processes(server)[0]
            for flags in (["--port", 1], ["--setting", "max_connections=18"]):
                done = server.run("up", *flags, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("down --wipe", done.stderr)
            self.assertEqual(len(segments_of({first})), 1)
            server.kill()
        self.assertFalse(home.exists())
        self.assertEqual(segments_of({first}), set())

    def test_a_folder_that_the_servers_user_cannot_enter_is_no_hindrance(self):
        with harness.folder() as folder:
            folder.chmod(0o700)
            try:
                self.assertEqual(tool("up", "--port", 0, "--folder", folder / "cluster").returncode, 0)
                done = tool("psql", "--folder", folder / "cluster", "-At", "-c", "SHOW data_directory")
                self.assertEqual(done.returncode, 0, done.stderr)
                data = pathlib.Path(done.stdout.strip())
            finally:
                self.assertEqual(tool("down", "--wipe", "--folder", folder / "cluster").returncode, 0)
            self.assertFalse(data.parent.exists())
            self.assertFalse((folder / "cluster").exists())

    def test_a_taken_port_is_named_and_its_holder_left_alone(self):
        with harness.folder() as folder, socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            done = tool("up", "--port", port, "--folder", folder / "cluster")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"port {port} ", done.stderr)
            self.assertFalse((folder / "cluster").exists(), "nothing of the attempt stays")

    def test_a_setting_that_it_refuses_is_told_and_leaves_nothing(self):
        with harness.folder() as folder:
            done = tool("up", "--port", 0, "--folder", folder / "cluster", "--setting", "shared_buffers=many")
            self.assertEqual(done.returncode, 1)
            self.assertIn("shared_buffers", done.stderr)
            self.assertFalse((folder / "cluster").exists())

    @unittest.skipIf(os.geteuid() != 0, "only root can try the tool as another user")
    def test_an_ordinary_user_runs_it_as_itself(self):
        user = pwd.getpwnam("nobody")
        with harness.folder() as folder:
            os.chown(folder, user.pw_uid, user.pw_gid)
            rights = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            if subprocess.run(["test", "-r", postgres.TOOL], check=False, **rights).returncode != 0:
                self.skipTest(f"nobody cannot read {postgres.TOOL}")
            # The system's, as root's own may lie where nobody else comes.
            rights["interpreter"] = "/usr/bin/python3"
            try:
                done = tool("up", "--port", 0, "--folder", folder / "cluster", **rights)
                self.assertEqual(done.returncode, 0, done.stderr)
                done = tool("psql", "--folder", folder / "cluster", "-At", "-c", "SELECT 17", **rights)
                self.assertEqual(done.stdout, "17\n")
            finally:
                self.assertEqual(tool("down", "--wipe", "--folder", folder / "cluster", **rights).returncode, 0)

    def test_wrong_usage_is_exit_2(self):
        for words in ([], ["left"], ["up", "now"], ["kill", "first"], ["up", "--port", "many"],
                      ["up", "--setting", "alone"], ["down", "now"]):
            with self.subTest(words):
                self.assertEqual(tool(*words).returncode, 2)
        self.assertIn("tools/postgres up", tool("--help").stdout)

    def test_a_server_goes_with_the_test_that_is_killed(self):
        code = HOLDER.format(here=str(pathlib.Path(__file__).parent))
        with subprocess.Popen([sys.executable, "-B", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as test:
            home = pathlib.Path(test.stdout.readline().split()[1])
            first = int((home / "cluster/home/data/postmaster.pid").read_text().split()[0])
            self.assertTrue(is_there(first))
            test.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_there(first) and not home.exists(), "the server has gone")


if __name__ == "__main__":
    harness.main()
