-- One row a country. Returns count negative.
local countries = view "countries"

countries.version = 1
countries.indexes = { "amount_mills", "lines", "quantity" }

local function add(view, event, sign)
  local data = event.data
  local key = data.country
  local row = view:get(key) or { lines = 0, quantity = 0, amount_mills = 0 }
  row.lines = row.lines + 1
  row.quantity = row.quantity + sign * data.quantity
  row.amount_mills = row.amount_mills + sign * data.quantity * data.price_mills
  view:put(key, row)
end

function countries.on.LineAdded(view, event)
  add(view, event, 1)
end

function countries.on.LineReturned(view, event)
  add(view, event, -1)
end
