#!/usr/bin/env python3
"""tools/kafka and the Broker that tests start with it: what is up answers, what is down is gone, nodes can be lost."""
import concurrent.futures
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

import harness
import kafka
from harness import PATIENCE_S, wait_until

OLDER = "3.9.1"
HOLDER = """
import sys
sys.path.insert(0, {here!r})
import kafka
with kafka.Broker() as broker:
    print(broker.pid(), broker.home, flush=True)
    sys.stdin.read()
"""


def tool(*words, **options):
    return subprocess.run([sys.executable, "-B", str(kafka.TOOL), *map(str, words)], capture_output=True, text=True,
                          timeout=kafka.TOOL_S, check=False, **options)


def kcat(broker, *words, stdin=""):
    done = subprocess.run(["kcat", "-q", "-b", broker.bootstrap, *words], input=stdin, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kcat {words}: {done.stderr}{broker.logs()}")
    return done.stdout


def read_all(broker, topic):
    return kcat(broker, "-C", "-t", topic, "-o", "beginning", "-e", "-X", "isolation.level=read_committed")


def is_there(pid):
    """A process that has ended and that nobody has asked for yet is not there."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class OneNode(unittest.TestCase):
    def test_up_twice_says_the_same_and_starts_nothing(self):
        with kafka.Broker() as broker:
            self.assertRegex(broker.bootstrap, r"^127\.0\.0\.1:\d+$")
            pid = broker.pid()
            again = broker.run("up")
            self.assertEqual(again.stdout, broker.bootstrap + "\n", "one line and nothing else")
            self.assertEqual(broker.pid(), pid)
            status = broker.run("status")
            self.assertIn(f"running: Apache Kafka 4.1.1 at {broker.bootstrap} in {broker.folder}", status.stdout)
            self.assertIn(f"node 1: running, pid {pid}, port {broker.bootstrap.rpartition(':')[2]}, ", status.stdout)

    def test_a_record_outlives_a_kill_and_a_stop(self):
        with kafka.Broker() as broker:
            broker.create_topic("shop.order", partitions=2, retention_ms=-1)
            self.assertIn("retention.ms=-1", broker.cli("TopicCommand", "--describe", "--topic", "shop.order"))
            kcat(broker, "-P", "-t", "shop.order", "-p", "1", stdin="first\n")
            pid = broker.pid()
            broker.kill()
            self.assertFalse(is_there(pid))
            self.assertEqual(broker.run("status", check=False).returncode, 3)
            self.assertEqual(broker.run("kill", 1, check=False).returncode, 1, "there is nothing left to kill")
            broker.restart()
            self.assertNotEqual(broker.pid(), pid)
            self.assertEqual(read_all(broker, "shop.order"), "first\n")

            broker.run("down")
            self.assertEqual(broker.run("status", check=False).returncode, 3)
            self.assertEqual(broker.run("down").returncode, 0, "twice is once")
            self.assertEqual(broker.run("up").stdout, broker.bootstrap + "\n", "on the ports that it had")
            read = broker.cli("ConsoleConsumer", "--topic", "shop.order", "--from-beginning", "--max-messages", 1,
                              "--timeout-ms", 1000 * PATIENCE_S)
            self.assertEqual(read, "first\n")

    def test_a_paused_node_is_silent_until_it_continues(self):
        with kafka.Broker() as broker:
            broker.pause()
            status = broker.run("status", check=False)
            self.assertEqual(status.returncode, 4)
            self.assertIn("node 1: paused, ", status.stdout)
            broker.resume()
            wait_until(lambda: broker.run("status", check=False).returncode == 0, "it runs")
            broker.pause()
            self.assertEqual(broker.run("up").stdout, broker.bootstrap + "\n", "up wakes it")
            self.assertEqual(broker.run("status").returncode, 0)
            broker.pause()
            pid = broker.pid()
            broker.run("down")
            self.assertFalse(is_there(pid), "down needs no waking first")

    def test_the_older_version_holds_transactions_too(self):
        with kafka.Broker(version=OLDER) as broker:
            self.assertIn(f"Apache Kafka {OLDER} ", broker.run("status").stdout)
            broker.create_topic("events")
            broker.cli("ProducerPerformance", "--topic", "events", "--num-records", 100, "--record-size", 10,
                       "--throughput", -1, "--transactional-id", "one", "--transaction-duration-ms", 5,
                       "--producer-props", f"bootstrap.servers={broker.bootstrap}", bootstrap=False)
            self.assertEqual(len(read_all(broker, "events").splitlines()), 100)
            quiet = broker.run("cli", "TopicCommand", "--bootstrap-server", broker.bootstrap, "--list")
            self.assertEqual((quiet.stdout.split(), quiet.stderr), (["__transaction_state", "events"], ""))

    def test_what_a_property_says_holds(self):
        with kafka.Broker(properties={"auto.create.topics.enable": "true", "num.partitions": 3}) as broker:
            kcat(broker, "-P", "-t", "made", "-p", "2", stdin="there\n")
            self.assertEqual(read_all(broker, "made"), "there\n")


class ThreeNodes(unittest.TestCase):
    def test_one_of_three_may_be_lost_and_two_may_not(self):
        with kafka.Broker(nodes=3) as broker:
            self.assertEqual(len(broker.bootstrap.split(",")), 3)
            broker.create_topic("events")
            self.assertIn("ReplicationFactor: 3\tConfigs: min.insync.replicas=2",
                          broker.cli("TopicCommand", "--describe", "--topic", "events"))
            broker.kill(1)
            self.assertEqual(broker.run("status", check=False).returncode, 4)
            kcat(broker, "-P", "-t", "events", "-X", "acks=all", stdin="with two\n")
            broker.kill(2)
            with self.assertRaisesRegex(AssertionError, "timed out|Local: "):
                kcat(broker, "-P", "-t", "events", "-X", "acks=all", "-X", "message.timeout.ms=1500", stdin="alone\n")
            broker.restart(1, 2)
            self.assertEqual(broker.run("status").returncode, 0)
            kcat(broker, "-P", "-t", "events", "-X", "acks=all", stdin="with three\n")
            read = read_all(broker, "events").splitlines()
            self.assertEqual([line for line in read if line != "alone"], ["with two", "with three"])
            self.assertEqual(broker.run("kill", 4, check=False).returncode, 1)


class Surroundings(unittest.TestCase):
    def test_two_at_once_get_ports_of_their_own(self):
        with harness.contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
            brokers = [kafka.Broker() for _ in range(2)]
            list(pool.map(stack.enter_context, brokers))
            self.assertEqual(len({broker.bootstrap for broker in brokers}), 2)
            brokers[0].create_topic("mine")
            self.assertNotIn("mine", brokers[1].cli("TopicCommand", "--list"))

    def test_a_taken_port_is_named_and_its_holder_left_alone(self):
        with harness.folder() as folder, socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            done = tool("up", "--port", port, "--folder", folder / "cluster")
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertIn(f"port {port} ", done.stderr)
            self.assertFalse((folder / "cluster").exists(), "nothing of the attempt stays")

    def test_another_shape_in_the_same_folder_is_refused(self):
        with kafka.Broker() as broker:
            for flags in (["--nodes", 3], ["--version", OLDER], ["--port", 1], ["--property", "num.partitions=2"]):
                with self.subTest(flags):
                    done = broker.run("up", *flags, check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(f"not {flags[1]}" if flags[0] != "--property" else "not {", done.stderr)
                    self.assertIn("down --wipe", done.stderr)
            self.assertEqual(broker.run("status").returncode, 0, "and what runs goes on")

    def test_a_pid_that_is_not_its_java_is_left_alone(self):
        with kafka.Broker() as broker, subprocess.Popen(["sleep", "600"]) as other:
            broker.kill()
            (broker.folder / "node-1/pid").write_text(f"{other.pid}\n")
            self.assertEqual(broker.run("status", check=False).returncode, 3)
            self.assertEqual(broker.run("kill", 1, check=False).returncode, 1)
            broker.run("down", "--wipe")
            self.assertFalse(broker.folder.exists())
            self.assertIsNone(other.poll())
            other.kill()

    def test_without_java_it_says_what_to_do(self):
        with harness.folder() as folder:
            done = tool("up", "--port", 0, "--folder", folder / "cluster",
                        env={**os.environ, "JAVA_HOME": str(folder)})
            self.assertEqual(done.returncode, 1)
            self.assertIn("tools/deps kafka", done.stderr)
            self.assertFalse((folder / "cluster").exists())

    def test_a_property_that_kafka_refuses_is_told_and_leaves_nothing(self):
        with harness.folder() as folder:
            done = tool("up", "--port", 0, "--folder", folder / "cluster", "--property", "num.io.threads=many")
            self.assertEqual(done.returncode, 1)
            self.assertIn("num.io.threads", done.stderr)
            self.assertFalse((folder / "cluster").exists())

    def test_wrong_usage_is_exit_2(self):
        for words in ([], ["left"], ["up", "--nodes", "2"], ["up", "--version", "1.0"], ["kill"], ["kill", "first"],
                      ["cli"], ["up", "--port", "many"], ["up", "--property", "alone"], ["down", "now"]):
            with self.subTest(words):
                self.assertEqual(tool(*words).returncode, 2)

    def test_a_broker_goes_with_the_test_that_is_killed(self):
        code = HOLDER.format(here=str(pathlib.Path(__file__).parent))
        with subprocess.Popen([sys.executable, "-B", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as test:
            pid, home = test.stdout.readline().split()
            self.assertTrue(is_there(pid))
            test.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_there(pid) and not pathlib.Path(home).exists(), "the broker has gone")


if __name__ == "__main__":
    harness.main()
