-- An invoice: lines that sell goods or take them back. Money in mills, thousandths of a pound.
local invoice = aggregate "invoice"

invoice.initial = { lines = 0, amount_mills = 0 }

function invoice.decide.AddLine(state, cmd)
  if cmd.price_mills == 0 then
    reject("no-price", "a line needs a price")
  end
  if cmd.price_mills < 0 then
    reject("negative-price", "a price is not negative")
  end
  local returned = cmd.quantity < 0
  return event(returned and "LineReturned" or "LineAdded", {
    stock_code = cmd.stock_code,
    description = cmd.description,
    quantity = returned and -cmd.quantity or cmd.quantity,
    price_mills = cmd.price_mills,
    customer = cmd.customer,
    country = cmd.country,
    invoiced_at = cmd.invoiced_at,
  })
end

function invoice.evolve.LineAdded(state, data)
  state.lines = state.lines + 1
  state.amount_mills = state.amount_mills + data.quantity * data.price_mills
end

function invoice.evolve.LineReturned(state, data)
  state.lines = state.lines + 1
  state.amount_mills = state.amount_mills - data.quantity * data.price_mills
end
