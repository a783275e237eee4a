-- One row an invoice: who bought, when, and for how much. Returns count negative.
local invoices = view "invoices"

invoices.version = 1
invoices.indexes = { "customer", "country", "amount_mills", "lines" }

local function add(view, event, sign)
  local data = event.data
  local key = event.aggregate_id
  local row = view:get(key) or {
    customer = data.customer,
    country = data.country,
    invoiced_at = data.invoiced_at,
    lines = 0,
    quantity = 0,
    amount_mills = 0,
  }
  row.lines = row.lines + 1
  row.quantity = row.quantity + sign * data.quantity
  row.amount_mills = row.amount_mills + sign * data.quantity * data.price_mills
  view:put(key, row)
end

function invoices.on.LineAdded(view, event)
  add(view, event, 1)
end

function invoices.on.LineReturned(view, event)
  add(view, event, -1)
end
