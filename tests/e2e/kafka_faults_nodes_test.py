#!/usr/bin/env python3
"""Nodes that come and go under load on Kafka: a rolling restart, and an index and a replica built again from nothing.

CAIRN_KAFKA_SEED chooses what the clients do; it is printed.
"""
import time

import harness
from kafka_load import Case, open_accounts, settle


class Nodes(Case):
    def test_a_rolling_restart_goes_unnoticed(self):
        nodes = [self.member("one"), self.member("two"), self.member("three")]
        settle(nodes)
        open_accounts(nodes[0])
        with self.load(nodes) as load:
            for one in nodes:
                load.go_on()
                began = time.monotonic()
                self.assertEqual(one.stop(), 0)
                left = time.monotonic()
                load.go_on()
                print("%s left in %.2f s: %.2f s without any answer, %.2f s for one client"
                      % (one.name, left - began, *load.silence_s(began)), flush=True)
                one.start_again()
                settle(nodes)
            load.go_on()
        self.check(load, nodes)

    def test_a_node_builds_what_it_lost_from_the_topics(self):
        nodes = [self.member("one"), self.member("two")]
        settle(nodes)
        open_accounts(nodes[0])
        with self.load(nodes) as load:
            for lost in (["index"], ["index", "replica"], ["index", "replica", "views"]):
                load.go_on()
                self.assertEqual(nodes[1].stop(), 0)
                nodes[1].forget(*lost)
                load.go_on()
                began = time.monotonic()
                nodes[1].start_again()
                built = time.monotonic()
                settle(nodes)
                print("without %s: ready after %.2f s, has its lanes %.2f s later"
                      % (" and ".join(lost), built - began, time.monotonic() - built), flush=True)
            load.go_on()
        self.check(load, nodes)


if __name__ == "__main__":
    harness.main()
