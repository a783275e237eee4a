-- query: top_customers
-- summary: The customers who spent the most, and on how many invoices
-- param: least integer = 0
-- param: country text = null
-- order: amount_mills desc, customer
-- limit: 100
SELECT customer, count(DISTINCT invoice) AS invoices, sum(quantity) AS quantity,
    sum(quantity * price_mills)::bigint AS amount_mills
FROM order_lines
WHERE :country::text IS NULL OR country = :country
GROUP BY customer
HAVING sum(quantity * price_mills) >= :least
