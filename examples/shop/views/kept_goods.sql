-- What a customer keeps of an invoice: what was sold less what came back on the same invoice.
-- view: kept_goods
-- version: 1
-- table:
CREATE TABLE kept_goods (
    invoice text NOT NULL,
    stock_code text NOT NULL,
    customer text NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (invoice, stock_code)
);

-- on: LineAdded
INSERT INTO kept_goods (invoice, stock_code, customer, quantity)
VALUES (:aggregate_id, :stock_code, :customer, :quantity)
ON CONFLICT (invoice, stock_code) DO UPDATE SET quantity = kept_goods.quantity + excluded.quantity;

-- on: LineReturned
UPDATE kept_goods SET quantity = quantity - :quantity::bigint
WHERE invoice = :aggregate_id AND stock_code = :stock_code;
DELETE FROM kept_goods WHERE invoice = :aggregate_id AND stock_code = :stock_code AND quantity <= 0;
