"""A storage on a Redis server: for web servers of several machines, whose visitors are shared and
may expire.

What the server does in one step is a script in Lua. One that reads or creates a key, KEYS[1],
answers its type (`none`, `string`, or another program's) and, of a string, its value; the last ARGV
is the key's new lifetime in milliseconds, or 0 to leave the lifetime alone. One that may change
what is stored has its deadline as ARGV[1].
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from support_chat.errors import InvalidInputError, StorageError
from support_chat_adapters.extras import require
from support_chat_adapters.system_errors import reason_of, system_error

from .damage import report
from .deadline import IN_TIME, ServerTime, closed, ended

if TYPE_CHECKING:
    from redis.asyncio import Redis

# keys in one command: many enough to be quick, few enough not to hold up the server's other clients
_CHUNK: Final = 1000

_HEAD: Final = """
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'none' and kind ~= 'string' then return {kind} end
local stored = redis.call('GET', KEYS[1])
"""
_TAIL: Final = """
if not stored then return {'none'} end
if ARGV[#ARGV] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[#ARGV]) end
return {'string', stored}
"""

# reads the key, and gives it its lifetime anew: done late, that harms nobody
_GET: Final = _HEAD + _TAIL

# stores ARGV[2] if the key is absent
_CREATE: Final = f"""{IN_TIME}{_HEAD}
if not stored then
  stored = ARGV[2]
  redis.call('SET', KEYS[1], stored)
end
{_TAIL}"""

# removes the keys; answers which of them held a string, each number followed by the value
_DELETE: Final = f"""{IN_TIME}
local removed = {{}}
for n, key in ipairs(KEYS) do
  if redis.call('TYPE', key)['ok'] == 'string' then
    removed[#removed + 1] = n
    removed[#removed + 1] = redis.call('GET', key)
  end
  redis.call('DEL', key)
end
return removed
"""

# renames the key if it still has the type ARGV[2] (and, if it is a string, the value ARGV[3]);
# answers its number, or 0
_SET_ASIDE: Final = f"""{IN_TIME}
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= ARGV[2] or (kind == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[3]) then
  return {{0}}
end
local n = 1
while redis.call('RENAMENX', KEYS[1], KEYS[1] .. ':corrupt-' .. n) == 0 do n = n + 1 end
return {{n}}
"""


class RedisStorage:
    """Keeps each value as a string under `prefix` + key on the Redis server at `server`, a URL or a
    client of yours.

    Use it when several machines must know the same visitor. With a URL (`redis://`, `rediss://`,
    `unix://`) each operation opens a connection of its own and closes it, waiting at most `timeout`
    seconds for each answer: a session has a handful of them in its life, nothing is left open
    between two, any event loop may call, and a server that was restarted is just found again. Pass
    a `redis.asyncio.Redis` of your own where you want its pool, its retries and its timeouts; then
    use the storage on the client's event loop, and close the client yourself.

    `ttl`: a value expires so many seconds after it was last read or written, as a web session does;
    None: never. Choose a `prefix` of its own for each application that shares the database.

    A key whose type is not a string, or whose value is not text, is renamed to `<key>:corrupt-<n>`
    with a warning in the log `support_chat`, and counts as absent from then on. It still belongs to
    its scope: a clear of the scope removes it.

    A write that was not answered in `timeout` seconds is refused by the server from then on, by its
    own clock: so it does not land late, be its process dead or its network slow (unless that clock
    is set back). A call that is cancelled meanwhile ends when it was answered, or that time is up.

    What is deleted is gone from the server's memory and its next snapshot; an append-only file
    keeps it until its next rewrite.

    It implements the `Storage` port. Every method raises StorageError, which names the server
    without its password; a call that was cancelled or has failed may or may not have been done. A
    client of yours that sends again by itself makes `delete` answer what the last time removed.

    Raises InvalidInputError for a URL that is none, or a `ttl` or `timeout` that is not positive,
    and ModuleNotFoundError without the extra `redis`.
    """

    def __init__(
        self,
        server: str | Redis,
        *,
        ttl: float | None = None,
        prefix: str = "support-chat:",
        timeout: float = 3.0,
    ) -> None:
        require(
            "redis.asyncio",
            extra="redis",
            purpose="RedisStorage speaks to its server with redis-py",
        )
        if ttl is not None and not (0 < ttl < math.inf):
            raise InvalidInputError(
                "RedisStorage(ttl=...) must be more than zero seconds, or None for values that "
                "never expire."
            )
        if not (0 < timeout < math.inf):
            raise InvalidInputError("RedisStorage(timeout=...) must be more than zero seconds.")
        from redis.asyncio import Redis

        if not isinstance(server, str | Redis):
            raise InvalidInputError(
                f"RedisStorage needs a URL or a redis.asyncio.Redis, not {type(server).__name__}."
            )
        self._server = server
        self._timeout = timeout
        self._prefix = prefix
        self._lifetime = 0 if ttl is None else math.ceil(ttl * 1000)
        self._closed = False
        self._name = _name(self._connected(server) if isinstance(server, str) else server)

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        async with self._server_of_one_call() as server:
            return await self._text(
                server, key, lambda: server.read("EVAL", _GET, 1, self._full(key), self._lifetime)
            )

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between all clients; returns what
        is stored afterwards.
        """
        stored = await self._written(_CREATE, key, value)
        return value if stored is None else stored

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value, in one atomic
        step between all clients. Of thousands, others may see some removed and some not yet.
        """
        removed: dict[str, str] = {}
        async with self._server_of_one_call() as server:
            for i in range(0, len(keys), _CHUNK):
                chunk = keys[i : i + _CHUNK]
                answer = await server.write(_DELETE, [self._full(key) for key in chunk])
                for n, value in zip(answer[::2], answer[1::2], strict=True):
                    with contextlib.suppress(UnicodeDecodeError):  # damaged, and gone
                        removed[chunk[n - 1]] = value.decode()
        return removed

    async def keys(self) -> Sequence[str]:
        """Every key under the prefix, sorted. Those that come or go meanwhile may be missing or be
        among them.
        """
        found: set[str] = set()
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", self._prefix) + "*"
        async with self._server_of_one_call() as server:
            cursor = 0
            while True:
                cursor, names = await server.read("SCAN", cursor, "MATCH", pattern, "COUNT", _CHUNK)
                for name in cast("list[bytes]", names):
                    with contextlib.suppress(UnicodeDecodeError):  # the name of somebody else's key
                        found.add(name.decode().removeprefix(self._prefix))
                if not cursor:
                    return sorted(found)

    async def aclose(self) -> None:
        """Later calls raise StorageError; a client of yours stays open. A second call does
        nothing.
        """
        self._closed = True

    async def _written(self, script: str, key: str, *values: str) -> str | None:
        async with self._server_of_one_call() as server:
            return await self._text(
                server,
                key,
                lambda: server.write(script, [self._full(key)], *values, self._lifetime),
            )

    async def _text(
        self, server: _Server, key: str, ask: Callable[[], Awaitable[Any]]
    ) -> str | None:
        """The text that is stored when it is asked, None if there is none; what is no text is set
        aside before it is asked again.
        """
        while True:
            kind, *stored = await ask()
            if kind == b"none":
                return None
            if kind == b"string":
                with contextlib.suppress(UnicodeDecodeError):
                    return cast("bytes", stored[0]).decode()
            (n,) = await server.write(_SET_ASIDE, [self._full(key)], kind, *stored)
            if n:
                why = "it is not text" if stored else f"it is a {kind.decode()}, not a string"
                report(
                    f"The value {key!r} on {self._name}",
                    why,
                    f"it was set aside as {f'{key}:corrupt-{n}'!r}",
                )

    def _full(self, key: str) -> str:
        return self._prefix + key

    @contextlib.asynccontextmanager
    async def _server_of_one_call(self) -> AsyncGenerator[_Server, None]:
        """The server, for one call, whose failures become StorageErrors."""
        from redis.exceptions import RedisError

        if self._closed:
            raise StorageError(
                f"The RedisStorage on {self._name} is closed; make a new one.",
                reason="closed",
                recoverable=False,
            )
        try:
            if isinstance(self._server, str):
                client = self._connected(self._server)
                try:
                    yield _Server(client, self._timeout)
                finally:
                    await closed(client.aclose())
            else:
                yield _Server(self._server, self._timeout)
        except (RedisError, OSError, UnicodeEncodeError) as error:
            # the server quotes commands, and with them the values
            raise _storage_error(error, self._name) from system_error(error)
        except RuntimeError as error:
            if "loop" not in str(error):  # closed, or a different one
                raise
            raise StorageError(
                f"The client of the RedisStorage on {self._name} belongs to another event loop; "
                "pass a URL, or make the client in the asyncio.run() that uses it.",
                reason="wrong_loop",
                recoverable=False,
            ) from None

    def _connected(self, url: str) -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        try:
            # redis-py leaves its options without types
            return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
            )  # no retries: when to try again is the session's to decide
        except (ValueError, TypeError, AttributeError):  # which may quote the URL
            raise InvalidInputError(
                "RedisStorage needs a URL like redis://:password@host:6379/0, or a client."
            ) from None

    def __repr__(self) -> str:
        return f"<RedisStorage: {self._name}{', closed' if self._closed else ''}>"


def _name(client: Redis) -> str:
    """The server that the client speaks to, without its user and password."""
    options = client.connection_pool.connection_kwargs
    place = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return f"Redis at {place}/{options.get('db') or 0}"


@attrs.define
class _Server:
    """A server during one call of a storage. All answers are bytes, also those of a client that
    decodes: what is not text must be seen, not raise.
    """

    client: Redis
    timeout: float
    time: ServerTime | None = None

    async def read(self, *command: object) -> Any:
        """The answer to a command that changes nothing. A pooled connection may have died with the
        server that was restarted, which shows only when it is used: so it is sent again once.
        """
        from redis.exceptions import AuthenticationError, ConnectionError

        try:
            return await self._sent(*command)
        except ConnectionError as error:
            if isinstance(error, AuthenticationError):
                raise
            return await self._sent(*command)

    async def write(self, script: str, keys: Sequence[str], *values: object) -> Any:
        """The answer of a script that changes the keys, or not, but does no more when this has
        ended.
        """
        from redis.exceptions import TimeoutError

        if self.time is None:
            seconds, micros = map(int, await self.read("TIME"))
            self.time = ServerTime(seconds * 1_000_000 + micros, monotonic())
        deadline = self.time.deadline(self.timeout)
        answer = await ended(
            self._sent("EVAL", script, len(keys), *keys, deadline.micros, *values), deadline
        )
        if answer is None or answer == [b"late"]:
            raise TimeoutError
        return answer

    async def _sent(self, *command: object) -> Any:
        # redis-py leaves it so
        return await self.client.execute_command(*command, NEVER_DECODE=True)  # type: ignore[no-untyped-call]


def _storage_error(error: Exception, name: str) -> StorageError:
    from redis import exceptions as e

    cause = system_error(error)
    refused = (e.AuthenticationError, e.AuthorizationError, e.NoPermissionError)
    causes: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
        (
            refused,
            "it does not let this client in. Check the user, the password and their rights",
            False,
        ),
        (
            (e.TimeoutError, TimeoutError),
            "it did not answer in time. Try again, or allow a longer timeout",
            True,
        ),
        ((e.OutOfMemoryError,), "its memory is full. Free some, then try again", True),
        ((e.ReadOnlyError,), "it is a read-only replica. Use the primary server", True),
        (
            (e.ConnectionError, OSError),
            f"it cannot be reached ({reason_of(cause)}). Start it, or correct the address",
            True,
        ),
        (
            (UnicodeEncodeError,),
            "it was given a text that UTF-8 cannot carry. Pass clean text",
            False,
        ),
        (
            (Exception,),
            f"it refused the command ({type(error).__name__}). It must know EVAL, SCAN and TIME",
            False,
        ),
    )
    what, passing = next(
        (what, passing) for kinds, what, passing in causes if isinstance(error, kinds)
    )
    return StorageError(
        f"{name} could not be used: {what}.", reason=type(error).__name__, recoverable=passing
    )
