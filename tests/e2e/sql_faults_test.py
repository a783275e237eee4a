#!/usr/bin/env python3
"""PostgreSQL and projectors that die, stand still and come back under load: nothing lost, nothing doubled."""
import random
import subprocess
import time
import unittest

import harness
import retail_test
import sql_shop
from postgres import Postgres
from sql_shop import Sending, serve, view_state, wait_until

LINES = 1500
KILLS = 3
ANSWER_S = 9  # a request that meets a server that stands still


class SqlFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())
        cls.seed = random.SystemRandom().randrange(1 << 16)
        print(f"seed {cls.seed}", flush=True)
        cls.commands, cls.totals = sql_shop.make_commands(cls.folder, LINES, cls.seed)
        cls.accepted = cls.totals["accepted"]

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.name = name = "d_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = sql_shop.make_database(self.server, name)
        self.home = self.folder / name
        self.home.mkdir()

    def wait_for_events(self, node, count):
        """Waits until the log holds so many, which a load beside this writes."""
        def enough():
            return int(retail_test.end_of_log(node).partition(":")[2]) >= count
        wait_until(enough, f"{count} events in the log")

    def check_when_it_answers(self, node):
        """A server that came back is asked again within a second."""
        wait_until(lambda: node.get("/queries/top_customers").status == 200, "PostgreSQL answers again")
        sql_shop.check_totals(self, node, self.totals)

    def verify(self):
        """Every row of every view is what the log gives, by a replay of it."""
        done = harness.run("verify", sql_shop.SHOP, "--data", self.home / "data", "--postgres", self.uri)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def refused_quickly(self, node, path):
        began = time.monotonic()
        answer = node.get(path)
        took = time.monotonic() - began
        self.assertEqual(answer.status, 503, (path, answer.body))
        self.assertIn("retry-after", answer.headers)
        self.assertLess(took, ANSWER_S)
        return took

    def test_a_database_that_is_killed_under_load(self):
        with serve(self.home, self.uri) as node:
            load = Sending(node, self.commands)
            for number in range(1, KILLS):
                self.wait_for_events(node, self.accepted * number // KILLS)
                self.server.kill()
                took = [self.refused_quickly(node, path)
                        for path in ("/views/customer_totals", "/queries/top_customers", "/views/order_lines/x")]
                print(f"kill {number}: 503 after {max(took):.2f} s at most", flush=True)
                self.assertEqual(node.get("/views/customers?limit=1").status, 200)
                self.assertEqual(view_state(node, "customer_totals")["state"], "unavailable")
                self.assertEqual(node.get("/health/live").status, 200)
                self.server.restart()
            load.finish()
            self.check_when_it_answers(node)
        self.verify()

    def test_a_database_that_stands_still_under_load(self):
        with serve(self.home, self.uri) as node:
            wait_until(lambda: node.get("/queries/top_customers").status == 200, "the first build")
            load = Sending(node, self.commands)
            self.wait_for_events(node, self.accepted // 3)
            self.server.pause()
            try:
                took = [self.refused_quickly(node, path) for path in ("/queries/top_customers", "/views/customer_totals")]
                print(f"standing still: 503 after {took[0]:.2f} s (query), {took[1]:.2f} s (view)", flush=True)
                self.assertLess(took[0], 5)
                self.assertEqual(node.get("/views/customers?limit=1").status, 200)
            finally:
                self.server.resume()
            load.finish()
            self.check_when_it_answers(node)
        self.verify()

    def test_a_projector_that_is_killed_under_load(self):
        node = serve(self.home, self.uri).start()
        for number in range(1, KILLS):
            load = Sending(node, self.commands, "--retry-for", "1s")
            self.wait_for_events(node, self.accepted * number // KILLS)
            node.kill()
            load.join(600)  # it may fail: its server is gone
            node.log.close()
            node.process.stdout.close()
            node = serve(self.home, self.uri).start()
        with harness.contextlib.ExitStack() as stack:
            stack.push(node.__exit__)
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
        self.verify()

    def refused_everywhere(self, node, reason):
        """Nobody who asks can mend it: 503 with the reason, the same everywhere, until the operator has."""
        for path in ("/views/customer_totals", "/views/customer_totals/guest", "/queries/top_customers"):
            answer = node.get(path)
            self.assertEqual(answer.status, 503, (path, answer.body))
            self.assertIn("retry-after", answer.headers)
            self.assertEqual(answer.json["type"], "/problems/unreachable")
            self.assertIn(reason, answer.json["detail"])
        self.assertEqual(node.get("/views/customers?limit=1").status, 200)

    def test_a_login_or_a_right_that_is_refused(self):
        end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'clerk'"
        self.server.psql("CREATE ROLE clerk LOGIN PASSWORD 'first'; "
                         f"GRANT CONNECT, CREATE ON DATABASE {self.uri.rpartition('/')[2]} TO clerk")
        uri = self.uri.replace(f"//{self.uri.split('/')[2].split('@')[0]}@", "//clerk:first@")
        with serve(self.home, uri) as node:
            sql_shop.send(node, self.commands)
            self.check_when_it_answers(node)
            self.server.psql(f"ALTER ROLE clerk PASSWORD 'second'; {end}")
            wait_until(lambda: node.get("/queries/top_customers").status == 503, "the sessions are gone")
            self.refused_everywhere(node, "PostgreSQL refuses the login of this service")
            state = view_state(node, "customer_totals")
            self.assertEqual(state["state"], "unavailable")
            self.assertIn("refuses the login", state["error"]["detail"])
            self.server.psql("ALTER ROLE clerk PASSWORD 'first'")
            self.check_when_it_answers(node)
            sql_shop.psql(self.server, self.name, "REVOKE ALL ON shop.customer_totals, shop.order_lines FROM clerk")
            self.refused_everywhere(node, "permission denied for table")
            sql_shop.psql(self.server, self.name, "GRANT ALL ON shop.customer_totals, shop.order_lines TO clerk")
            self.check_when_it_answers(node)

    def test_sessions_that_are_ended_under_load(self):
        """What an operator or a failover does: pg_terminate_backend, again and again."""
        with serve(self.home, self.uri) as node:
            wait_until(lambda: node.get("/queries/top_customers").status == 200, "the first build")
            load = Sending(node, self.commands)
            ended = 0
            while load.is_alive():
                ended += int(self.server.psql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'cairn%'"))
            load.finish()
            print(f"{ended} sessions ended", flush=True)
            self.assertGreater(ended, 0)
            self.check_when_it_answers(node)
        self.verify()

    def test_rebuilds_beside_kills(self):
        """The database and the service die again and again while a view is rebuilt; each rebuild ends, and all is well."""
        replay = ("replay", "customer_totals", sql_shop.SHOP, "--data", self.home / "data", "--postgres", self.uri)
        with serve(self.home, self.uri) as node:
            sql_shop.send(node, self.commands)
        for number in range(KILLS):
            node = serve(self.home, self.uri).start()
            build = subprocess.Popen([harness.BINARY, *map(str, replay), "--throttle", "3000"], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            wait_until(lambda: build.poll() is not None or (view_state(node, "customer_totals") or {}).get("rebuild"),
                       "a rebuild is under way")
            (self.server.kill, node.kill, build.kill)[number % 3]()
            if number % 3 == 0:
                self.server.restart()
            out, err = build.communicate(timeout=120)
            print(f"round {number}: exit {build.returncode}, {out.strip() or err.strip()[-200:]}", flush=True)
            node.kill()
            node.log.close()
            node.process.stdout.close()
            done = harness.run(*replay)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("NOT what the log gives", done.stdout)
        with serve(self.home, self.uri) as node:
            self.check_when_it_answers(node)
        self.verify()


if __name__ == "__main__":
    harness.main()
