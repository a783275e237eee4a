#!/usr/bin/env python3
"""Streams that a view in PostgreSQL could not apply: list, show, retry, drop."""
import unittest

import harness
import sql_shop
from parked_cases import BAD, ParkedCases
from postgres import Postgres
from sql_shop import psql

COUNTED = f"""-- view: counted
-- version: 1
-- on_error: park
-- table:
CREATE TABLE counted (
    key text PRIMARY KEY,
    lines bigint NOT NULL,
    last bigint CHECK (last <> {BAD} OR coalesce(current_setting('shop.gate', true), '') = 'open')
);
-- on: LineAdded
INSERT INTO counted VALUES (:customer, 1, :quantity)
ON CONFLICT (key) DO UPDATE SET lines = counted.lines + excluded.lines, last = excluded.last;
"""


class SqlParked(ParkedCases, unittest.TestCase):
    file = "views/counted.sql"
    text = COUNTED
    parks = "-- on_error: park\n"
    edits = ((":customer, 1,", ":customer, 10,"), (f"last <> {BAD} OR", "true OR"))

    @classmethod
    def setUpClass(cls):
        cls.stack = harness.contextlib.ExitStack()
        cls.folder = cls.stack.enter_context(harness.folder())
        cls.server = cls.stack.enter_context(Postgres())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.name = "p_" + self.id().rpartition(".")[2].removeprefix("test_")[:40]
        self.uri = sql_shop.make_database(self.server, self.name)

    def flags(self):
        return ("--postgres", self.uri)

    def open_gate(self):
        psql(self.server, self.name, f"ALTER DATABASE {self.name} SET shop.gate = 'open'")


if __name__ == "__main__":
    harness.main()
