"""What the server does by itself: every decision over all scopes of a call is one script, all of it or nothing.

Lua counts in doubles, which hold whole numbers exactly up to 2^53.  So moments are microseconds of the server's own clock
(`TIME`), spans are nanoseconds (exact up to 104 days), and what an account has spent never passes through Lua: it is a
64-bit integer that `HINCRBY` moves and that is compared as text.

A rate is kept as how far ahead its theoretical arrival time was, and when that was written: the arithmetic of
`core/gcra.py`, and a server clock that is set back neither locks anybody out nor makes anything come back twice.

All keys share one hash tag, so that in a cluster they live on one node; scripts build some of them from others.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

TAG: Final = "{fairlead}:"
"""What all keys begin with."""
BORN: Final = TAG + "born"
"""Which state this is: another one after the server has lost its data."""
PLACES: Final = TAG + "places"
"""Who shares the state, by the end of their lease."""
LEASES: Final = TAG + "leases"
"""Open reservations by the end of their lease, each as `PLACE|CALL|ATTEMPT`."""
ORPHANS: Final = TAG + "orphans"
"""Reservations of places that are gone, each as `STORE|CALL|ATTEMPT|AMOUNT`."""
HOLD: Final = TAG + "hold:"
"""One reservation follows, as `CALL|ATTEMPT`."""


class Script(msgspec.Struct, frozen=True):
    """A text that the server runs, and what it is called there."""

    text: str
    sha: str


_NOW: Final = """
local stamp = ARGV[1]
local now
if stamp == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
else
  now = tonumber(stamp)
end
local function whole(number)
  return string.format('%.0f', number + 0)
end
"""

_RATES: Final = """
local function ahead(key)
  local kept = redis.call('GET', key)
  if not kept then return 0 end
  local span, at = string.match(kept, '^(%d+) (%d+)$')
  span, at = tonumber(span), tonumber(at)
  if now < at then
    redis.call('SET', key, whole(span) .. ' ' .. whole(now), 'KEEPTTL')
    return span
  end
  return math.max(span - (now - at) * 1000, 0)
end
local function keep_ahead(key, span)
  redis.call('SET', key, whole(span) .. ' ' .. whole(now), 'PX', whole(math.ceil(span / 1000000) + 60000))
end
"""

_PERMITS: Final = """
local place, lease = ARGV[2], tonumber(ARGV[3])
local function parted(kept)
  local count, till = string.match(kept, '^(%d+) (%d+)$')
  return tonumber(count), tonumber(till)
end
local function keep_running(key, count)
  if count > 0 then
    redis.call('HSET', key, place, whole(count) .. ' ' .. whole(now + lease))
    redis.call('PEXPIRE', key, whole(math.ceil(lease / 1000) + 60000))
  else
    redis.call('HDEL', key, place)
  end
end
local function own_running(key)
  local kept = redis.call('HGET', key, place)
  if not kept then return 0 end
  return (parted(kept))
end
"""

_ACQUIRE: Final = (
    _NOW
    + _RATES
    + _PERMITS
    + """
local function running(key)
  local total, all = 0, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local count, till = parted(all[i + 1])
    if all[i] ~= place and till <= now then
      redis.call('HDEL', key, all[i])
    else
      if till > now + lease then
        redis.call('HSET', key, all[i], whole(count) .. ' ' .. whole(now + lease))
      end
      total = total + count
    end
  end
  return total
end
local before, after, fits = {}, {}, 1
for i, key in ipairs(KEYS) do
  local kind, worth, room = ARGV[i * 3 + 1], tonumber(ARGV[i * 3 + 2]), tonumber(ARGV[i * 3 + 3])
  local state = after[key]
  if not state then
    if kind == 'c' then state = running(key) else state = ahead(key) end
  end
  before[i] = whole(state)
  after[key] = state + worth
  if after[key] > room then fits = 0 end
end
if fits == 1 then
  for i, key in ipairs(KEYS) do
    if ARGV[i * 3 + 1] == 'c' then
      keep_running(key, own_running(key) + tonumber(ARGV[i * 3 + 2]))
    else
      keep_ahead(key, after[key])
    end
  end
end
return {fits, whole(now), unpack(before)}
"""
)

_RELEASE: Final = (
    _NOW
    + _RATES
    + _PERMITS
    + """
local claimed_at = tonumber(ARGV[4])
for i, key in ipairs(KEYS) do
  local kind, claimed, used = ARGV[i * 3 + 2], tonumber(ARGV[i * 3 + 3]), tonumber(ARGV[i * 3 + 4])
  if kind == 'c' then
    keep_running(key, own_running(key) - claimed)
  else
    local span = ahead(key)
    if used >= claimed then
      span = span + used - claimed
    else
      local left = claimed - math.max(now - claimed_at, 0) * 1000
      span = math.max(span - math.max(0, math.min(claimed - used, left)), 0)
    end
    keep_ahead(key, span)
  end
end
return 1
"""
)

_LEDGER: Final = f"""
local HOLD, LEASES, ORPHANS = '{HOLD}', '{LEASES}', '{ORPHANS}'
local function move(accounts, amount)
  for key in string.gmatch(accounts, '[^\\n]+') do
    if redis.call('EXISTS', key) == 1 then
      redis.call('HINCRBY', key, 'used', whole(amount))
    end
  end
end
local function orphan(store, id, amount)
  return store .. '|' .. id .. '|' .. amount
end
"""

_SEEDED: Final = """
local function seeded(key, store, seed, ttl)
  local known = redis.call('HEXISTS', key, 'seed:' .. store) == 1
  if not known and seed ~= '' then
    redis.call('HSET', key, 'seed:' .. store, 1)
    redis.call('HINCRBY', key, 'used', seed)
    redis.call('PEXPIRE', key, ttl)
    known = true
  end
  return known
end
"""

_BEAT: Final = (
    _NOW
    + _PERMITS
    + _LEDGER
    + f"""
local BORN, PLACES = '{BORN}', '{PLACES}'
local known, fresh, grace, store = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local epoch = redis.call('HGET', BORN, 'id')
if not epoch then
  epoch = fresh
  redis.call('HSET', BORN, 'id', epoch)
end
if known ~= '' and known ~= epoch and grace > 0 then
  redis.call('HSETNX', BORN, 'closed', whole(now + grace))
end
redis.call('PEXPIRE', BORN, 172800000)
for _, each in ipairs(redis.call('ZRANGEBYSCORE', PLACES, '(' .. whole(now + lease), '+inf')) do
  redis.call('ZADD', PLACES, whole(now + lease), each)
end
redis.call('ZADD', PLACES, whole(now + lease), place)
redis.call('PEXPIRE', PLACES, 172800000)
local dead, gone = {{}}, redis.call('ZRANGEBYSCORE', PLACES, '-inf', whole(now))
for _, each in ipairs(gone) do
  dead[each] = true
  redis.call('ZREM', PLACES, each)
end
if #gone > 0 then
  for _, member in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    local owner, id = string.match(member, '^([^|]*)|(.*)$')
    if dead[owner] then
      local hold = redis.call('HMGET', HOLD .. id, 'state', 'store', 'amount')
      if hold[1] == 'open' then
        redis.call('HSET', HOLD .. id, 'state', 'orphaned')
        redis.call('ZADD', ORPHANS, 0, orphan(hold[2], id, hold[3]))
        redis.call('PEXPIRE', ORPHANS, 172800000)
      end
    end
  end
end
for i, key in ipairs(KEYS) do
  keep_running(key, tonumber(ARGV[7 + i]))
end
return {{
  epoch,
  whole(now),
  redis.call('ZCARD', PLACES),
  redis.call('ZRANGEBYLEX', ORPHANS, '[' .. store .. '|', '[' .. store .. '|\\255', 'LIMIT', 0, 100),
}}
"""
)

_LEAVE: Final = (
    _NOW
    + _PERMITS
    + f"""
for _, key in ipairs(KEYS) do
  redis.call('HDEL', key, place)
end
return redis.call('ZADD', '{PLACES}', 'XX', 'CH', whole(now), place)
"""
)

_SEED: Final = (
    _SEEDED
    + """
for i, key in ipairs(KEYS) do
  seeded(key, ARGV[2], ARGV[i * 2 + 1], ARGV[i * 2 + 2])
end
return 1
"""
)

_RESERVE: Final = (
    _NOW
    + _LEDGER
    + _SEEDED
    + f"""
local BORN = '{BORN}'
local epoch, place, store, id = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local amount, lease, kept, forced = ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9] == '1'
local function over(used, limit)
  if string.sub(used, 1, 1) == '-' then return false end
  if #used ~= #limit then return #used > #limit end
  return used > limit
end
local born = redis.call('HMGET', BORN, 'id', 'closed')
if born[1] ~= epoch then return {{'lost'}} end
if born[2] and not forced then
  local left = tonumber(born[2]) - now
  if left > 0 and left <= 60000000 then return {{'closed'}} end
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', whole(now), 'LIMIT', 0, 50)) do
  redis.call('ZREM', LEASES, member)
  local due = string.match(member, '^[^|]*|(.*)$')
  local hold = redis.call('HMGET', HOLD .. due, 'amount', 'state', 'accounts', 'store')
  if hold[2] == 'open' then
    move(hold[3], -tonumber(hold[1]))
    redis.call('HSET', HOLD .. due, 'state', 'lapsed')
  elseif hold[2] == 'orphaned' then
    redis.call('DEL', HOLD .. due)
    redis.call('ZREM', ORPHANS, orphan(hold[4], due, hold[1]))
  end
end
local state = redis.call('HGET', HOLD .. id, 'state')
if state and state ~= 'lapsed' then return {{'taken'}} end
local missing = {{'missing'}}
for i, key in ipairs(KEYS) do
  if not seeded(key, store, ARGV[i * 3 + 8], ARGV[i * 3 + 9]) then missing[#missing + 1] = i end
end
if #missing > 1 then return missing end
for i, key in ipairs(KEYS) do
  redis.call('HINCRBY', key, 'used', amount)
  local used = redis.call('HGET', key, 'used')
  if over(used, ARGV[i * 3 + 7]) and not forced then
    for j = 1, i do
      if amount ~= '0' then redis.call('HINCRBY', KEYS[j], 'used', '-' .. amount) end
    end
    return {{'over', i, redis.call('HGET', key, 'used')}}
  end
end
for i, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[i * 3 + 9])
end
redis.call(
  'HSET', HOLD .. id, 'amount', amount, 'place', place, 'store', store, 'state', 'open',
  'accounts', table.concat(KEYS, '\\n')
)
redis.call('PEXPIRE', HOLD .. id, kept)
redis.call('ZADD', LEASES, whole(now + lease), place .. '|' .. id)
redis.call('PEXPIRE', LEASES, 2592000000)
return {{'taken'}}
"""
)

_SETTLE: Final = (
    _NOW
    + _LEDGER
    + """
local id, cost = ARGV[2], tonumber(ARGV[3])
local hold = redis.call('HMGET', HOLD .. id, 'amount', 'state', 'accounts', 'place', 'store')
if not hold[1] then return 0 end
redis.call('DEL', HOLD .. id)
redis.call('ZREM', LEASES, hold[4] .. '|' .. id)
if hold[2] == 'orphaned' then redis.call('ZREM', ORPHANS, orphan(hold[5], id, hold[1])) end
if hold[2] == 'lapsed' then move(hold[3], cost) else move(hold[3], cost - tonumber(hold[1])) end
return 1
"""
)


def _script(text: str) -> Script:
    # The name by which servers know a script, no matter of secrets.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE: Final = _script(_ACQUIRE)
"""Keys: a rate or a scope's permits for each claim.  After moment, place and lease in microseconds, for each key: `r` or `c`, what is
claimed and what there is room for, as nanoseconds of a rate or as permits."""
RELEASE: Final = _script(_RELEASE)
"""Keys as there.  After moment, place, lease and the moment of the claim, for each key: `r` or `c`, what was claimed and what was used."""
BEAT: Final = _script(_BEAT)
"""Keys: scopes whose permits this place holds, or held, with the number of each after moment, place, lease, known epoch,
new epoch, grace in microseconds and store.  Answers epoch, moment, number of places and orphans of the store."""
LEAVE: Final = _script(_LEAVE)
"""Keys: scopes whose permits this place holds; after moment, place and lease."""
RESERVE: Final = _script(_RESERVE)
"""Keys: accounts.  After moment, epoch, place, store, hold, amount, lease in microseconds, milliseconds that the hold is
kept, and `1` where nothing may refuse it, for each key: limit, what was spent before or nothing, milliseconds that it is kept.
Answers `taken`, `lost`, `closed`, `missing` with numbers of keys, or `over` with one and what is used of it."""
SEED: Final = _script(_SEED)
"""Keys: accounts; after moment and store, for each: what was spent before, and milliseconds that it is kept."""
SETTLE: Final = _script(_SETTLE)
"""After the moment: hold and cost."""
