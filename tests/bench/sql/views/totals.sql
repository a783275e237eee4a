-- Counters of a few thousand keys.
-- view: totals
-- version: 1
-- table:
CREATE TABLE totals (
    customer text PRIMARY KEY,
    events bigint NOT NULL,
    amount bigint NOT NULL
);

-- on: Placed, Moved
INSERT INTO totals VALUES (:customer, 1, :amount) ON CONFLICT (customer) DO UPDATE SET
    events = totals.events + excluded.events, amount = totals.amount + excluded.amount;
