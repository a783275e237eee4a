#!/usr/bin/env python3
"""Cairn on Kafka 3.9, by SCRAM, which librdkafka before 2.6.1 cannot do with Kafka 4: two nodes, of which one dies."""
import time

import harness
import kafka_load
from kafka_secured import Secured, settings_of


class Older(Secured):
    VERSION = "3.9.1"

    def test_two_nodes_on_the_older_kafka_and_one_takes_over(self):
        flags = settings_of(self.broker, "admin", sasl_mechanisms="SCRAM-SHA-512")
        self.create_topics(flags)
        with self.member("one", flags) as one, self.member("two", flags) as two:
            kafka_load.settle([one, two])
            kafka_load.open_accounts(one)
            versions = [kafka_load.insist(one, f"a{n}", "Deposit", {"amount": 1}).json["version"]
                        for n in range(kafka_load.ACCOUNTS)]
            self.assertEqual(versions, [2] * kafka_load.ACCOUNTS)
            one.kill()
            began = time.monotonic()
            kafka_load.settle([two])
            print(f"took over after {time.monotonic() - began:.2f} s")
            lanes = set()
            for account in range(kafka_load.ACCOUNTS):
                answer = kafka_load.insist(two, f"a{account}", "Deposit", {"amount": 1})
                self.assertEqual(answer.json["version"], 3)
                lanes.add(answer.json["position"].split(":")[0])
            self.assertEqual(len(lanes), kafka_load.LANES, "an account in every lane")
            self.assertEqual(self.topics("check", flags).returncode, 0)


if __name__ == "__main__":
    harness.main()
