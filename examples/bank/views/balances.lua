-- One row an account: whose it is and what it holds.
local balances = view "balances"

balances.version = 1
balances.indexes = { "owner", "balance", "status" }

function balances.on.Opened(view, event)
  view:put(event.aggregate_id, { owner = event.data.owner, balance = 0, status = "open" })
end

local function move(view, event, amount)
  local row = view:get(event.aggregate_id)
  row.balance = row.balance + amount
  view:put(event.aggregate_id, row)
end

function balances.on.Deposited(view, event)
  move(view, event, event.data.amount)
end

function balances.on.Withdrawn(view, event)
  move(view, event, -event.data.amount)
end

function balances.on.Closed(view, event)
  local row = view:get(event.aggregate_id)
  row.status = "closed"
  view:put(event.aggregate_id, row)
end
