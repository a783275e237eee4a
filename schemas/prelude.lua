-- What a domain script finds when it starts. Runs in every host before the script, then `cairn`,
-- `store`, `freeze` and `guard` are hidden from scripts; C still finds the first two by name:
--
--   cairn.aggregates.NAME.initial | .decide.COMMAND | .evolve.EVENT | .upcast.EVENT[VERSION]
--   cairn.views.NAME.version | .indexes | .on.EVENT
--   cairn.handles.NAME        what a view's handlers get as their first argument
--
-- decide(state, data, ctx), evolve(state, data, event), upcast(data), on(view, event) are called
-- by C directly, without a driver in between.
--
-- A view's handle has the methods get(key), put(key, document) and delete(key). They are the host
-- functions that the projector registers as get, put and delete of the table `store` before it runs
-- the script. A script calls view:get(key), so argument 0 is the handle and argument 1 the key.

cairn = { aggregates = {}, views = {}, handles = {} }
store = {}

local aggregates, views, handles = cairn.aggregates, cairn.views, cairn.handles
local freeze, guard, store = freeze, guard, store

local function check_name(what, name)
  if type(name) ~= "string" or not name:find("^[a-z][a-z0-9_]*$") then
    error(what .. ": a name is lower case letters, digits and '_'", 3)
  end
end

-- aggregate "account": the table that decide, evolve and upcast functions are put into.
function aggregate(name)
  check_name("aggregate", name)
  if aggregates[name] then
    error("aggregate: '" .. name .. "' is there already", 2)
  end
  local made =
    { initial = {}, decide = guard({}), evolve = guard({}), upcast = guard({}) }
  aggregates[name] = made
  return guard(made)
end

-- view "balances": the table that handlers (on.Deposited), indexes and version are put into.
function view(name)
  check_name("view", name)
  if views[name] then
    error("view: '" .. name .. "' is there already", 2)
  end
  local made = { version = 1, indexes = {}, on = guard({}) }
  views[name] = made
  handles[name] = freeze({ name = name, get = store.get, put = store.put, delete = store.delete })
  return guard(made)
end

-- One event that a decider asks for.
function event(kind, data)
  if type(kind) ~= "string" then
    error("event: the type must be a string", 2)
  end
  if data ~= nil and type(data) ~= "table" then
    error("event: the data of " .. kind .. " must be a table", 2)
  end
  return { type = kind, data = data or {} }
end

-- Refuse the command: decide ends here.
function reject(code, detail)
  if type(code) ~= "string" or not code:find("^[a-z][a-z0-9-]*$") then
    error("reject: a code is lower case letters, digits and '-'", 2)
  end
  if detail ~= nil and type(detail) ~= "string" then
    error("reject: the detail must be a string", 2)
  end
  error({ reject = { code = code, detail = detail or "" } })
end
