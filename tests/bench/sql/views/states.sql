-- The state of each order: inserted once, then changed by its key.
-- view: states
-- version: 1
-- table:
CREATE TABLE states (
    id text PRIMARY KEY,
    customer text NOT NULL,
    state text NOT NULL,
    moves bigint NOT NULL,
    amount bigint NOT NULL
);

-- on: Placed
INSERT INTO states VALUES (:aggregate_id, :customer, 'placed', 0, :amount);

-- on: Moved
UPDATE states SET state = :state, moves = moves + 1, amount = amount + :amount WHERE id = :aggregate_id;
