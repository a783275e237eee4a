-- Every line as it was written, for joins and exports. Returns have a negative quantity.
-- view: order_lines
-- version: 1
-- key: invoice, line
-- table:
CREATE TABLE order_lines (
    invoice text NOT NULL,
    line bigint NOT NULL,
    stock_code text NOT NULL,
    description text NOT NULL,
    quantity bigint NOT NULL,
    price_mills bigint NOT NULL,
    customer text NOT NULL,
    country text NOT NULL,
    invoiced_at timestamptz NOT NULL,
    PRIMARY KEY (invoice, line)
);

-- on: LineAdded
INSERT INTO order_lines
VALUES (:aggregate_id, :version, :stock_code, :description, :quantity, :price_mills, :customer, :country, :invoiced_at);

-- on: LineReturned
INSERT INTO order_lines
VALUES (:aggregate_id, :version, :stock_code, :description, -(:quantity::bigint), :price_mills, :customer, :country,
    :invoiced_at);
