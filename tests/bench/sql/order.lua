-- An order that takes whatever comes: what is measured lies behind the log.
local order = aggregate "order"

order.initial = {}

function order.decide.Place(state, cmd)
  return event("Placed", { customer = cmd.customer, amount = cmd.amount })
end

function order.decide.Move(state, cmd)
  return event("Moved", { customer = cmd.customer, amount = cmd.amount, state = cmd.state })
end

function order.evolve.Placed(state, data)
end

function order.evolve.Moved(state, data)
end
