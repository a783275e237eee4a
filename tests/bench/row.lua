-- wrk: GETs of random rows: wrk -s row.lua URL -- PREFIX COUNT
local prefix, count
function init(args)
  prefix = args[1] or "/"
  count = tonumber(args[2] or "10000")
  math.randomseed(42)
end
function request()
  return wrk.format("GET", prefix .. math.random(0, count - 1))
end
