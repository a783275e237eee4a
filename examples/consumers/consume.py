#!/usr/bin/env python3
"""Copies the events of a topic into a table of SQLite: each once, however often this is stopped, killed or started.

Offsets are committed to Kafka behind the table, so a crash between the two reads some events again; their ids are
known by then. Events of a stream arrive in order, and rowid keeps the order in which all arrived.
"""
import argparse
import json
import sqlite3
import sys

import msgpack
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import Consumer, KafkaError, KafkaException

BATCH_MAX = 500
# A version that is there twice under two ids would be a broken log: the table refuses it.
TABLE = """CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL,
    time TEXT NOT NULL, data TEXT NOT NULL, UNIQUE (stream, version))"""
INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"


class Payload(JSONFormat):
    """What the CloudEvents SDK needs to know of msgpack; JSON it reads by itself."""

    def read_data(self, body, datacontenttype):
        if datacontenttype == "application/msgpack":
            return msgpack.unpackb(body)
        return super().read_data(body, datacontenttype)


def read_event(message):
    return kafka.from_binary(kafka.KafkaMessage(dict(message.headers()), message.key(), message.value()), Payload())


def row_of(event):
    return (event.get_id(), event.get_subject(), int(event.get_extension("streamversion")), event.get_type(),
            event.get_time().isoformat(), json.dumps(event.get_data()))


class Reader:
    """The partitions that this process reads, and which of them it has read to their ends."""

    def __init__(self, brokers, topic, group):
        self.assigned, self.ended = set(), set()
        self.consumer = Consumer({
            "bootstrap.servers": brokers,
            "group.id": group,
            # How long after a kill another process of the group goes on.
            "session.timeout.ms": 6000,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        })
        self.consumer.subscribe([topic], on_assign=self.assign, on_revoke=self.revoke)

    def assign(self, _, partitions):
        self.assigned = {partition.partition for partition in partitions}
        self.ended = set()

    def revoke(self, *_):
        self.assigned, self.ended = set(), set()

    def read(self):
        """The next messages; none where none came for a second."""
        messages = []
        for message in self.consumer.consume(BATCH_MAX, 1.0):
            if message.error() is None:
                messages.append(message)
                self.ended.discard(message.partition())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                self.ended.add(message.partition())
            else:
                raise KafkaException(message.error())
        return messages

    def at_end(self):
        return bool(self.assigned) and self.ended >= self.assigned

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            # Another process has the partition now. It reads these events again and knows them by their ids.
            print(f"offsets not committed: {error}", file=sys.stderr)


def copy(reader, database, until_end):
    """Returns how many events were stored, and how many were there before."""
    stored = known = 0
    while not (until_end and reader.at_end()):
        rows = [row_of(read_event(message)) for message in reader.read()]
        if rows:
            with database:
                fresh = database.executemany(INSERT, rows).rowcount
            reader.commit()
            stored, known = stored + fresh, known + len(rows) - fresh
    return stored, known


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("brokers", help="HOST:PORT, several with commas between")
    parser.add_argument("topic", help="DOMAIN.AGGREGATE")
    parser.add_argument("database", help="SQLite file; made when it is missing")
    parser.add_argument("--group", default="analytics", help="consumer group; processes of one group share the topic")
    parser.add_argument("--until-end", action="store_true", help="stop at the end of the topic")
    options = parser.parse_args()
    database = sqlite3.connect(options.database)
    database.execute(TABLE)
    reader = Reader(options.brokers, options.topic, options.group)
    try:
        stored, known = copy(reader, database, options.until_end)
        print(f"{stored} events stored, {known} known before")
    finally:
        reader.consumer.close()
        database.close()


if __name__ == "__main__":
    main()
