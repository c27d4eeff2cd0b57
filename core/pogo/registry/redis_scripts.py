"""What the registry does within Redis: one script for each step that must not be seen half done.

The keys, all of them under `pogo:v1:`

epoch                     a random name, set when the store was found empty
revision                  the last revision, a counter
t:{kind}.{scope}.{name}   a hash of the topic's entries, `{owner}.{item}` to `{revision}={value}`
t:{kind}.{scope}          the set of the topics with three tokens below it
t:{kind}                  the set of the topics with two tokens below it
o:{owner}                 the set of the keys that the owner wrote

Redis itself drops a hash or a set with its last member, so an entry that went leaves nothing. The
scripts name keys that they were not given, which rules Redis Cluster out.

A change is published under each of its three topics as `{key} {revision}={value}`, or, where the
entry was removed, as `{key} {revision}-`.
"""

from pogo.bus.redis_scripts import Script

PREFIX = "pogo:v1:"

EPOCH_KEY = f"{PREFIX}epoch".encode()

EPOCH_ERROR = "EPOCH"
"""How the error reply begins that refuses a script because the store has another epoch."""

PUT = b"="
"""Begins the new value of an entry, and ends its revision."""

REMOVED = b"-"
"""Stands in the place of a value where an entry is to be gone, or is."""


_PRELUDE = f"""
if redis.call('GET', '{PREFIX}epoch') ~= ARGV[1] then
  return redis.error_reply('{EPOCH_ERROR} the store is another one by now')
end
local REVISION, TOPIC, OWNER = '{PREFIX}revision', '{PREFIX}t:', '{PREFIX}o:'
"""
"""Begins every script, whose first argument is always the epoch."""

_CHANGE = (
    _PRELUDE
    + """
local function parse(key)
  local kind, scope, name, owner, item =
    string.match(key, '^([^.]*)%.([^.]*)%.([^.]*)%.([^.]*)%.([^.]*)$')
  local app = kind .. '.' .. scope
  return kind, app, app .. '.' .. name, owner, owner .. '.' .. item
end

local function remove(kind, app, topic, field)
  if redis.call('HDEL', TOPIC .. topic, field) == 0 then return end
  if redis.call('EXISTS', TOPIC .. topic) == 1 then return end
  redis.call('SREM', TOPIC .. app, topic)
  if redis.call('EXISTS', TOPIC .. app) == 1 then return end
  redis.call('SREM', TOPIC .. kind, app)
end

local function change(key, what, revision, subject)
  local kind, app, topic, owner, field = parse(key)
  local message = key .. ' ' .. revision .. what
  -- First, since a user may not be permitted to publish: then nothing was done.
  redis.call('PUBLISH', subject .. topic, message)
  redis.call('PUBLISH', subject .. app, message)
  redis.call('PUBLISH', subject .. kind, message)
  if what == '-' then
    remove(kind, app, topic, field)
    redis.call('SREM', OWNER .. owner, key)
  elseif redis.call('HSET', TOPIC .. topic, field, revision .. what) == 1 then
    redis.call('SADD', OWNER .. owner, key)
    if redis.call('SADD', TOPIC .. app, topic) == 1 then
      redis.call('SADD', TOPIC .. kind, app)
    end
  end
end
"""
)

WRITE = Script(
    _CHANGE
    + """
local count = (#ARGV - 2) / 2
local before = redis.call('INCRBY', REVISION, count) - count
local outcomes = {}
for i = 1, count do
  local done, why = pcall(change, ARGV[2 * i + 1], ARGV[2 * i + 2], before + i, ARGV[2])
  if done then
    outcomes[i] = before + i
  else
    outcomes[i] = type(why) == 'table' and why.err or why
  end
end
return outcomes
"""
)
"""Takes the subjects' prefix, and a key and `=value` or `-` for each write.

Returns for each the new revision, or as a text why there is none.
"""

COMPARE_AND_SET = Script(
    _CHANGE
    + """
local _, _, topic, _, field = parse(ARGV[3])
local stored = redis.call('HGET', TOPIC .. topic, field)
local actual = stored and string.match(stored, '^%d+') or '0'
if actual ~= ARGV[5] then return {0, tonumber(actual)} end
local revision = redis.call('INCR', REVISION)
change(ARGV[3], ARGV[4], revision, ARGV[2])
return {1, revision}
"""
)
"""Takes the subjects' prefix, a key, `=value` or `-`, and the revision that the key must have.

Returns 1 and the new revision, or 0 and the actual one.
"""

SNAPSHOT = Script(
    _PRELUDE
    + """
local found = {}
local function read(topic, tokens)
  if tokens == 3 then
    found[#found + 1] = topic
    found[#found + 1] = redis.call('HGETALL', TOPIC .. topic)
  else
    for _, below in ipairs(redis.call('SMEMBERS', TOPIC .. topic)) do read(below, tokens + 1) end
  end
end
read(ARGV[2], tonumber(ARGV[3]))
return found
"""
)
"""Takes a topic and how many tokens it has.

Returns each topic with three tokens under it, followed by all fields and values of its hash.
"""

OWNED = Script(
    _PRELUDE
    + """
local page = redis.call('SSCAN', OWNER .. ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local found = {}
for _, key in ipairs(page[2]) do
  local topic, field = string.match(key, '^([^.]*%.[^.]*%.[^.]*)%.(.*)$')
  local stored = redis.call('HGET', TOPIC .. topic, field)
  if stored then
    found[#found + 1] = key
    found[#found + 1] = stored
  end
end
return {page[1], found}
"""
)
"""Takes an owner, a cursor (0 to begin) and about how many entries to return.

Returns the next cursor (0 at the end), and keys and values. A key may come twice.
"""

PURGE = Script(
    _CHANGE
    + """
local keys = redis.call('SPOP', OWNER .. ARGV[2], ARGV[3])
for _, key in ipairs(keys) do
  local kind, app, topic, _, field = parse(key)
  remove(kind, app, topic, field)
end
return #keys
"""
)
"""Takes an owner and how many entries to remove at the most. Returns how many there were."""

SCRIPTS = (WRITE, COMPARE_AND_SET, SNAPSHOT, OWNED, PURGE)
