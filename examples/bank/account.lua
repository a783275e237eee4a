-- An account: money in cents, never below zero.
local account = aggregate "account"

account.initial = { status = "none", owner = "", balance = 0 }

local function must_be_open(state)
  if state.status ~= "open" then
    reject("account-closed", "the account is not open")
  end
end

function account.decide.Open(state, cmd)
  if state.status ~= "none" then
    reject("account-exists", "the account was opened before")
  end
  return event("Opened", { owner = cmd.owner })
end

function account.decide.Deposit(state, cmd)
  must_be_open(state)
  return event("Deposited", { amount = cmd.amount })
end

function account.decide.Withdraw(state, cmd)
  must_be_open(state)
  if cmd.amount > state.balance then
    reject("insufficient-funds", "the balance is " .. state.balance)
  end
  return event("Withdrawn", { amount = cmd.amount })
end

-- Pays out what is left: up to two events, appended together or not at all.
function account.decide.Close(state)
  must_be_open(state)
  if state.balance > 0 then
    return event("Withdrawn", { amount = state.balance }), event("Closed")
  end
  return event("Closed")
end

function account.evolve.Opened(state, data)
  state.status = "open"
  state.owner = data.owner
end

function account.evolve.Deposited(state, data)
  state.balance = state.balance + data.amount
end

function account.evolve.Withdrawn(state, data)
  state.balance = state.balance - data.amount
end

function account.evolve.Closed(state)
  state.status = "closed"
end
