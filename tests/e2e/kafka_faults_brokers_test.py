#!/usr/bin/env python3
"""One of three broker nodes is lost under load, and then another: a lane's leader, its transactions' coordinator.

CAIRN_KAFKA_SEED chooses what the clients do; it is printed.
"""
import time

import harness
from kafka_load import TOPIC, Case, leaders, open_accounts, settle, wait_in_sync

TRANSACTIONS = "__transaction_state"
TRANSACTION_PARTITIONS = 4  # as tools/kafka sets it


def hash_of(text):
    """java.lang.String.hashCode, without the sign, as the cluster chooses who coordinates an id."""
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


class Brokers(Case):
    brokers = 3

    def coordinator(self, lane):
        """The broker node that decides the transactions of a lane's first id."""
        return leaders(self.broker.bootstrap, TRANSACTIONS)[hash_of(f"cairn.bank.{lane}.0") % TRANSACTION_PARTITIONS][0]

    def lose(self, load, what, node):
        """Kills a broker node and brings it back, each time until all clients are answered."""
        began = time.monotonic()
        self.broker.kill(node)
        load.go_on()
        print("%s, broker node %d, killed: %.2f s without any answer, %.2f s for one client"
              % (what, node, *load.silence_s(began)), flush=True)
        self.broker.restart(node)
        wait_in_sync(self.broker.bootstrap, self.brokers)
        load.go_on()

    def test_a_lost_broker_node_loses_nothing(self):
        nodes = [self.member("one"), self.member("two")]
        settle(nodes)
        open_accounts(nodes[0])
        with self.load(nodes) as load:
            load.go_on()
            leader = leaders(self.broker.bootstrap, TOPIC)[0][0]
            self.lose(load, "leader of lane 0", leader)
            other = next((node for node in map(self.coordinator, range(4)) if node != leader), leader)
            self.lose(load, "coordinator of transactions", other)
        settle(nodes)
        self.check(load, nodes)


if __name__ == "__main__":
    harness.main()
