#!/usr/bin/env python3
"""PostgreSQL and projectors that die, stand still and come back under load: nothing lost, nothing doubled."""
import time

import harness
import retail_test
import sql_shop
from harness import wait_until
from sql_shop import Sending, view_state

LINES = 1500
KILLS = 3
ANSWER_S = 30  # a request that meets a server that stands still is told so within seconds, and hangs on no machine


class SqlFaults(sql_shop.Case):
    lines = LINES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accepted = cls.totals["accepted"]

    def wait_for_events(self, node, count):
        """Waits until the log holds so many, which a load beside this writes."""
        def enough():
            return int(retail_test.end_of_log(node).partition(":")[2]) >= count
        wait_until(enough, f"{count} events in the log")

    def check_when_it_answers(self, node):
        """A server that came back is asked again within a second."""
        wait_until(lambda: node.get("/queries/top_customers").status == 200, "PostgreSQL answers again")
        sql_shop.check_totals(self, node, self.totals)

    @staticmethod
    def wait_for_unavailable(node):
        """Returns what is told of a view of a database that does not answer."""
        def unavailable():
            state = view_state(node, "customer_totals")
            return state if state["state"] == "unavailable" else None
        return wait_until(unavailable, "the view is told to be unavailable")

    def refused_quickly(self, node, path):
        began = time.monotonic()
        answer = node.get(path)
        took = time.monotonic() - began
        self.assertEqual(answer.status, 503, (path, answer.body))
        self.assertIn("retry-after", answer.headers)
        self.assertLess(took, ANSWER_S)
        return took

    def test_a_database_that_is_killed_under_load(self):
        with self.serve() as node:
            load = Sending(node, self.commands)
            for number in range(1, KILLS):
                self.wait_for_events(node, self.accepted * number // KILLS)
                self.server.kill()
                took = [self.refused_quickly(node, path)
                        for path in ("/views/customer_totals", "/queries/top_customers", "/views/order_lines/x")]
                print(f"kill {number}: 503 after {max(took):.2f} s at most", flush=True)
                self.assertEqual(node.get("/views/customers?limit=1").status, 200)
                self.wait_for_unavailable(node)
                self.assertEqual(node.get("/health/live").status, 200)
                self.server.restart()
            load.finish()
            self.check_when_it_answers(node)
        self.verify()

    def test_a_database_that_stands_still_under_load(self):
        with self.serve() as node:
            node.wait_for_views()
            load = Sending(node, self.commands)
            self.wait_for_events(node, self.accepted // 3)
            self.server.pause()
            try:
                took = [self.refused_quickly(node, path) for path in ("/queries/top_customers", "/views/customer_totals")]
                print(f"standing still: 503 after {took[0]:.2f} s (query), {took[1]:.2f} s (view)", flush=True)
                self.assertEqual(node.get("/views/customers?limit=1").status, 200)
            finally:
                self.server.resume()
            load.finish()
            self.check_when_it_answers(node)
        self.verify()

    def test_a_projector_that_is_killed_under_load(self):
        node = self.serve().start()
        for number in range(1, KILLS):
            load = Sending(node, self.commands, "--retry-for", "1s")
            self.wait_for_events(node, self.accepted * number // KILLS)
            node.kill()
            load.join(600)  # it may fail: its server is gone
            node.log.close()
            node.process.stdout.close()
            node = self.serve().start()
        with harness.contextlib.ExitStack() as stack:
            stack.push(node.__exit__)
            sql_shop.send(node, self.commands)
            sql_shop.check_totals(self, node, self.totals)
        self.verify()

    def refused_everywhere(self, node, reason):
        """Nobody who asks can mend it: 503 with the reason, the same everywhere, until the operator has.

        Who asks on a connection that was lost with the right is told of that first.
        """
        for path in ("/views/customer_totals", "/views/customer_totals/guest", "/queries/top_customers"):
            answer = wait_until(lambda path=path: (told := node.get(path)) and reason in told.json.get("detail", "") and told,
                                f"{path} tells: {reason}")
            self.assertEqual((answer.status, answer.json["type"]), (503, "/problems/unreachable"), (path, answer.body))
            self.assertIn("retry-after", answer.headers)
        self.assertEqual(node.get("/views/customers?limit=1").status, 200)

    def test_a_login_or_a_right_that_is_refused(self):
        end = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE usename = 'clerk'"
        self.server.psql("CREATE ROLE clerk LOGIN PASSWORD 'first'; "
                         f"GRANT CONNECT, CREATE ON DATABASE {self.uri.rpartition('/')[2]} TO clerk")
        uri = self.uri.replace(f"//{self.uri.split('/')[2].split('@')[0]}@", "//clerk:first@")
        with self.serve(uri=uri) as node:
            sql_shop.send(node, self.commands)
            self.check_when_it_answers(node)
            self.server.psql("ALTER ROLE clerk PASSWORD 'second'")
            # One that was just coming in with the old password is seen by the next look.
            wait_until(lambda: self.server.psql(end) == "f", "the sessions are gone")
            self.refused_everywhere(node, "PostgreSQL refuses the login of this service")
            wait_until(lambda: "refuses the login" in self.wait_for_unavailable(node)["error"]["detail"], "the view tells why")
            self.server.psql("ALTER ROLE clerk PASSWORD 'first'")
            self.check_when_it_answers(node)
            self.sql("REVOKE ALL ON shop.customer_totals, shop.order_lines FROM clerk")
            self.refused_everywhere(node, "permission denied for table")
            self.sql("GRANT ALL ON shop.customer_totals, shop.order_lines TO clerk")
            self.check_when_it_answers(node)

    def test_sessions_that_are_ended_under_load(self):
        """What an operator or a failover does: pg_terminate_backend, again and again."""
        with self.serve() as node:
            node.wait_for_views()
            load = Sending(node, self.commands)
            ended = 0
            while load.is_alive() or ended == 0:
                ended += int(self.server.psql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'cairn%'"))
            load.finish()
            print(f"{ended} sessions ended", flush=True)
            self.check_when_it_answers(node)
        self.verify()

    def test_rebuilds_beside_kills(self):
        """The database and the service die again and again while a view is rebuilt; each rebuild ends, and all is well."""
        replay = ("customer_totals", self.domain, "--data", self.home / "data", "--postgres", self.uri)
        with self.serve() as node:
            sql_shop.send(node, self.commands)
            node.wait_for_views()
        for number in range(KILLS):
            sql_shop.wait_for_builders(self.server)
            node = self.serve().start()
            build = sql_shop.begin_replay(*replay, "--throttle", "300")
            wait_until(lambda: build.poll() is not None or view_state(node, "customer_totals").get("rebuild"),
                       "a rebuild is under way")
            (self.server.kill, node.kill, build.kill)[number % 3]()
            if number % 3 == 0:
                self.server.restart()
            out, err = build.communicate(timeout=300)
            print(f"round {number}: exit {build.returncode}, {out.strip() or err.strip()[-200:]}", flush=True)
            node.kill()
            node.log.close()
            node.process.stdout.close()
            done = sql_shop.replay(*replay)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("NOT what the log gives", done.stdout)
        with self.serve() as node:
            self.check_when_it_answers(node)
        self.verify()


if __name__ == "__main__":
    harness.main()
