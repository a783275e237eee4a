#!/usr/bin/env python3
"""Streams that a view in PostgreSQL could not apply: list, show, retry, drop."""
import harness
import sql_shop
from parked_cases import BAD, ParkedCases

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


class SqlParked(ParkedCases, sql_shop.Databases):
    file = "views/counted.sql"
    text = COUNTED
    parks = "-- on_error: park\n"
    edits = ((":customer, 1,", ":customer, 10,"), (f"last <> {BAD} OR", "true OR"))

    def flags(self):
        return ("--postgres", self.uri)

    def open_gate(self):
        self.sql(f"ALTER DATABASE {self.name} SET shop.gate = 'open'")


if __name__ == "__main__":
    harness.main()
