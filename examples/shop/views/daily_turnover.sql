-- What was invoiced on each day, in UTC.
-- view: daily_turnover
-- version: 1
-- table:
CREATE TABLE daily_turnover (
    day date PRIMARY KEY,
    lines bigint NOT NULL,
    amount_mills bigint NOT NULL
);

-- on: LineAdded
INSERT INTO daily_turnover (day, lines, amount_mills)
VALUES ((:invoiced_at::timestamptz AT TIME ZONE 'UTC')::date, 1, :quantity::bigint * :price_mills::bigint)
ON CONFLICT (day) DO UPDATE SET
    lines = daily_turnover.lines + excluded.lines,
    amount_mills = daily_turnover.amount_mills + excluded.amount_mills;

-- on: LineReturned
INSERT INTO daily_turnover (day, lines, amount_mills)
VALUES ((:invoiced_at::timestamptz AT TIME ZONE 'UTC')::date, 1, -(:quantity::bigint) * :price_mills::bigint)
ON CONFLICT (day) DO UPDATE SET
    lines = daily_turnover.lines + excluded.lines,
    amount_mills = daily_turnover.amount_mills + excluded.amount_mills;
