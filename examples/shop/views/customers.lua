-- One row a customer; "guest" gathers the lines without one. Returns count negative.
local customers = view "customers"

customers.version = 1
customers.indexes = { "amount_mills", "lines", "quantity" }

local function add(view, event, sign)
  local data = event.data
  local key = data.customer
  local row = view:get(key) or { lines = 0, quantity = 0, amount_mills = 0 }
  row.lines = row.lines + 1
  row.quantity = row.quantity + sign * data.quantity
  row.amount_mills = row.amount_mills + sign * data.quantity * data.price_mills
  view:put(key, row)
end

function customers.on.LineAdded(view, event)
  add(view, event, 1)
end

function customers.on.LineReturned(view, event)
  add(view, event, -1)
end
