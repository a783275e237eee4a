-- wrk: deposits into 10,000 accounts, spread over the connections.
local thread_seed = 0
function setup(thread)
  thread:set("seed", thread_seed)
  thread_seed = thread_seed + 7919
end
function init()
  math.randomseed(seed + 42)
  wrk.headers["Content-Type"] = "application/json"
end
local body = '{"amount":100}'
function request()
  return wrk.format("POST", "/commands/account/a" .. math.random(0, 9999) .. "/Deposit", nil, body)
end
