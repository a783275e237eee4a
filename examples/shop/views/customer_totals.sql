-- One row a customer, as the view customers has it: returns count negative.
-- view: customer_totals
-- version: 1
-- table:
CREATE TABLE customer_totals (
    customer text PRIMARY KEY,
    lines bigint NOT NULL,
    quantity bigint NOT NULL,
    amount_mills bigint NOT NULL
);
CREATE INDEX ON customer_totals (amount_mills);

-- on: LineAdded
INSERT INTO customer_totals (customer, lines, quantity, amount_mills)
VALUES (:customer, 1, :quantity, :quantity::bigint * :price_mills::bigint)
ON CONFLICT (customer) DO UPDATE SET
    lines = customer_totals.lines + excluded.lines,
    quantity = customer_totals.quantity + excluded.quantity,
    amount_mills = customer_totals.amount_mills + excluded.amount_mills;

-- on: LineReturned
INSERT INTO customer_totals (customer, lines, quantity, amount_mills)
VALUES (:customer, 1, -(:quantity::bigint), -(:quantity::bigint) * :price_mills::bigint)
ON CONFLICT (customer) DO UPDATE SET
    lines = customer_totals.lines + excluded.lines,
    quantity = customer_totals.quantity + excluded.quantity,
    amount_mills = customer_totals.amount_mills + excluded.amount_mills;
