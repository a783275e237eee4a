-- A row an event.
-- view: entries
-- version: 1
-- key: id, version
-- table:
CREATE TABLE entries (
    id text NOT NULL,
    version bigint NOT NULL,
    customer text NOT NULL,
    amount bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);

-- on: Placed, Moved
INSERT INTO entries VALUES (:aggregate_id, :version, :customer, :amount, :time);
