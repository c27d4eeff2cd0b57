"""What the webhook store does within Redis: one script for each step that must be done whole.

The keys, all of them under `pogo:v1:w:`

q:{app}.{endpoint}        the stream of a queue; it ends when nothing was added for a long time
i:{app}.{endpoint}:{id}   says for a while that an event came
l:{app}                   the hash of an app's ledger, whose values have a `=` before them
g:{app}                   the name of an app's leader

The scripts name keys that they were not given, which rules Redis Cluster out. Where the server has
no memory left, their first write fails, so that nothing is done.
"""

from pogo.bus.redis_scripts import Script
from pogo.webhooks.interface import DEDUPLICATION, MAX_AGE, Queue
from pogo.webhooks.places import HINTS, queue_tokens

PREFIX = "pogo:v1:w:"
LEDGER = f"{PREFIX}l:".encode()
LEADER = f"{PREFIX}g:".encode()

FULL = -1
DEPOSED = -2

_STORE = f"""
local function queue_key(queue) return '{PREFIX}q:' .. queue end
local function id_key(queue, id) return '{PREFIX}i:' .. queue .. ':' .. id end

local function store(queue, id, body)
  redis.call('XADD', queue_key(queue), '*', 'e', body)
  redis.call('SET', id_key(queue, id), '', 'EX', {DEDUPLICATION:.0f})
end

local function stored_in(queues)
  for queue in pairs(queues) do
    redis.call('EXPIRE', queue_key(queue), {MAX_AGE:.0f})
    -- It is no more than a hint, and a user may not be permitted to publish.
    redis.pcall('PUBLISH', '{HINTS}', queue)
  end
end
"""

ENQUEUE = Script(
    _STORE
    + f"""
local outcomes, queues, size = {{}}, {{}}, tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
  local queue, id = ARGV[i], ARGV[i + 1]
  if redis.call('EXISTS', id_key(queue, id)) == 1 then
    outcomes[#outcomes + 1] = 0
  elseif redis.call('XLEN', queue_key(queue)) >= size then
    outcomes[#outcomes + 1] = {FULL}
  else
    store(queue, id, ARGV[i + 2])
    queues[queue] = true
    outcomes[#outcomes + 1] = 0
  end
end
stored_in(queues)
return outcomes
"""
)
"""Takes the size of a queue, and for each event its queue, its id and its body.

Returns for each 0, or `FULL`.
"""

COMMIT = Script(
    _STORE
    + f"""
local app, size, count = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('GET', '{PREFIX}g:' .. app) ~= ARGV[1] then return {DEPOSED} end
local changes = 5 + 3 * count
local new, ids, lengths = {{}}, {{}}, {{}}
for i = 5, changes - 1, 3 do
  local queue, id = ARGV[i], id_key(ARGV[i], ARGV[i + 1])
  if not ids[id] and redis.call('EXISTS', id) == 0 then
    ids[id] = true
    new[#new + 1] = i
    lengths[queue] = (lengths[queue] or redis.call('XLEN', queue_key(queue))) + 1
    if lengths[queue] > size then return {FULL} end
  end
end
for _, i in ipairs(new) do store(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
-- What takes memory comes before what frees it: only the former can fail.
for i = changes, #ARGV, 2 do
  if ARGV[i + 1] ~= '' then redis.call('HSET', '{PREFIX}l:' .. app, ARGV[i], ARGV[i + 1]) end
end
for i = changes, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', '{PREFIX}l:' .. app, ARGV[i]) end
end
stored_in(lengths)
return 0
"""
)
"""Takes the leader, the app, the size of a queue, the number of events, for each of them its queue,
its id and its body, and for each change a key and a value, which is empty where the key is to go.

Returns 0, `FULL` or `DEPOSED`.
"""


def queue_key(queue: Queue) -> bytes:
    """Name the stream of a queue."""
    return f"{PREFIX}q:{queue_tokens(queue)}".encode()
