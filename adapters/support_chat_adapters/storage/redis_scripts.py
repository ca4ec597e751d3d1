"""The Lua that `RedisStorage` runs: the server does each script as one step, which is what makes
create and replace atomic.

Each answers the type of the key (`none`, `string`, or another program's) and, of a string, its
value. KEYS[1] is the key, ARGV[1] its new lifetime in milliseconds, or 0 to leave the lifetime
alone.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = """
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'none' and kind ~= 'string' then return {kind} end
local stored = redis.call('GET', KEYS[1])
"""
_TAIL: Final = """
if not stored then return {'none'} end
if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {'string', stored}
"""

GET: Final = _HEAD + _TAIL
"""Reads the key, and gives it its lifetime anew."""

CREATE: Final = f"""{_HEAD}
if not stored then
  stored = ARGV[2]
  redis.call('SET', KEYS[1], stored)
end
{_TAIL}"""
"""Stores ARGV[2] if the key is absent."""

REPLACE: Final = f"""{_HEAD}
if stored == ARGV[2] then
  stored = ARGV[3]
  redis.call('SET', KEYS[1], stored)
end
{_TAIL}"""
"""Stores ARGV[3] if ARGV[2] is stored."""

SET_ASIDE: Final = """
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= ARGV[1] or (kind == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[2]) then return 0 end
local n = 1
while redis.call('RENAMENX', KEYS[1], KEYS[1] .. ':corrupt-' .. n) == 0 do n = n + 1 end
return n
"""
"""Renames the key if it still has the type ARGV[1] (and, if it is a string, the value ARGV[2]);
answers its number, or 0.
"""
