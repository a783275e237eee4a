-- One row a stock item. Returns count negative. Lines spell an item's description differently, and
-- lines of different invoices come in no promised order: the longest wins, whichever comes first.
local products = view "products"

products.version = 1
products.indexes = { "amount_mills", "lines", "quantity" }

local function is_better(new, old)
  return #new > #old or (#new == #old and new < old)
end

local function add(view, event, sign)
  local data = event.data
  local key = data.stock_code
  local row = view:get(key)
    or { description = data.description, lines = 0, quantity = 0, amount_mills = 0 }
  if is_better(data.description, row.description) then
    row.description = data.description
  end
  row.lines = row.lines + 1
  row.quantity = row.quantity + sign * data.quantity
  row.amount_mills = row.amount_mills + sign * data.quantity * data.price_mills
  view:put(key, row)
end

function products.on.LineAdded(view, event)
  add(view, event, 1)
end

function products.on.LineReturned(view, event)
  add(view, event, -1)
end
