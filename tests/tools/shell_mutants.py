"""Mutants of the shell: for each one text in one function that is otherwise, what that does, and a
seed whose schedule is known to show it.

`python tests/tools/simulated.py mutants` looks for each from seed 0 on, and writes the table of
docs/simulated.md.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from support_chat import session
from support_chat.runtime import adapters, calls, listeners, shell

Shell, Timers = shell.Shell, shell.Timers
Call, SupportChat = calls.Call, session.SupportChat
Subscription, EventStream = listeners.Subscription, listeners.EventStream
Listeners = listeners.Listeners


@attrs.frozen
class Mutant:
    """What is wrong, in a sentence; the function, what is replaced in it, and by what. `steps` is
    how many things must happen in order until it shows; `seed` shows it.
    """

    does: str
    function: Any
    old: str
    new: str
    steps: int = 1
    seed: int = 0

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """The shell is like this meanwhile."""
        module = sys.modules[self.function.__module__]
        *owners, name = self.function.__qualname__.split(".")
        owner: Any = module
        for each in owners:
            owner = getattr(owner, each)
        known = owner.__dict__[name]
        code = textwrap.dedent(inspect.getsource(self.function))
        if code.count(self.old) != 1:
            raise AssertionError(f"{self.old!r} is not once in {self.function.__qualname__}")
        places: dict[str, Any] = {}
        exec("from __future__ import annotations\n" + code.replace(self.old, self.new),
             module.__dict__, places)  # fmt: skip
        with contextlib.ExitStack() as undone:
            for table, key in _tables(known):
                undone.callback(table.__setitem__, key, known)
                table[key] = places[name]
            undone.callback(setattr, owner, name, known)
            setattr(owner, name, places[name])
            yield


def _tables(function: Callable[..., Any]) -> list[tuple[dict[Any, Any], Any]]:
    """Where a function stands in a table of the shell."""
    tables: list[Any] = [Shell._OBEY, adapters._PERFORMERS]
    found: list[tuple[dict[Any, Any], Any]] = []
    for table in tables:
        inner = table if isinstance(table, dict) else _inside(table)
        found += [(inner, key) for key, value in table.items() if value is function]
    return found


def _inside(table: Any) -> Any:
    """The dict of a mapping proxy."""
    import gc

    (inner,) = (each for each in gc.get_referents(table) if isinstance(each, dict))
    return inner


MUTANTS: Final = (
    # --- timers ---
    Mutant("a timer that is stopped runs on",
           Timers.disarm, "handle.cancel()", "pass"),
    Mutant("a timer that is armed again keeps its old time, too",
           Timers.arm, "self.disarm((timer,))", "pass", 2),
    Mutant("a timer that runs is not armed anew",
           Timers.arm, "self.disarm((timer,))", "if timer in self._running:\n        return", 2),
    Mutant("a timer of more than 30 s runs out after 30 s",
           Timers._look, "until - self._clock() > 1e-9", "False", 2),
    Mutant("timers run for half as long",
           Shell._arm, "command.seconds,", "command.seconds / 2,"),
    Mutant("timers run for twice as long",
           Shell._arm, "command.seconds,", "command.seconds * 2,"),
    # --- limits of requests and calls ---
    Mutant("requests have no limit",
           Shell._perform, "self.loop.call_later(limit, self._expire, performing, limit)", "None",
           2),
    Mutant("requests may take twice their limit",
           Shell._perform, "call_later(limit,", "call_later(2 * limit,", 2),
    Mutant("a request over its limit is not given up",
           Shell._expire, "performing.cancel()", "pass", 2),
    Mutant("that a request is over its limit is not reported",
           Shell._expire, "self.take(", "repr(", 2),
    Mutant("the time of a call is not bounded",
           Shell._bound, "command.seconds,", "command.seconds + 1e6,", 2),
    Mutant("calls share one timer",
           Shell._bound, "str(call)", "'call'", 3),
    # --- outcomes ---
    Mutant("a request that fails is not reported",
           Shell._ended, "self._failed(performing.request, error)\n        self.take(",
           "self._failed(performing.request, error)\n        repr(", 2),
    Mutant("nothing is heard of a cancelled request, also if it succeeds",
           Shell._ended, "if task.cancelled() and task.cancelling():", "if performing.cancelled:",
           3),
    Mutant("nothing that is under way is cancelled",
           Shell._cancel, "performing.cancel()", "pass", 3),
    Mutant("whatever is under way is cancelled",
           Shell._cancel, "performing.request.lane in command.lanes", "performing.request.lane",
           3),
    Mutant("numbers of calls are used again",
           Shell.call, "self._made += 1", "self._made = len(self._calls) + 1", 3),
    # --- links ---
    Mutant("a link that is let go is not aborted",
           Shell._close, "link.abort()", "pass", 2),
    Mutant("a link that ends with an error is not lost",
           Shell._lost, "if not closed:", "if not closed and error is None:", 2),
    Mutant("the oldest link is listened to",
           Shell._keep, "self.links[number]", "next(iter(self.links.values()))", 4),
    Mutant("what a link tells is heard in pairs, the second first",
           Shell._listen, "self.take(Heard(number, event))",
           "self.loop.call_later(0.01 * (self.loop.time() * 1000 // 1 % 2), self.take, "
           "Heard(number, event))", 2),
    Mutant("a link counts as heard at any time",
           Shell._now, "at if link is None else at - (self.loop.time() - self._heard_at(link))",
           "at", 2),
    Mutant("a link counts as silent at any time",
           Shell._heard_at, "return heard_at", "return -math.inf", 2),
    # --- adapters ---
    Mutant("a visitor's secret is the minted one, also where another is stored",
           adapters._create, "return await adapters.storage.create(payload.key, "
           "secrets.token_urlsafe(32))",
           "minted = secrets.token_urlsafe(32)\n"
           "    await adapters.storage.create(payload.key, minted)\n    return minted", 2),
    Mutant("a shutdown clears the visitor, too",
           adapters._clear, "found -= {payload.keep}", "pass", 2),
    Mutant("a full clear keeps the visitor",
           adapters._clear, "found -= {payload.keep}", "found -= {payload.visitor}", 2),
    Mutant("the visitor whom a clear removed is not told",
           adapters._clear, "return removed.get(payload.visitor)", "return None", 3),
    Mutant("a provider's first token is used for good",
           adapters._fetch, "return await called(provider, payload.user_id, payload.reason)",
           "known = adapters.links.__dict__ if hasattr(adapters.links, '__dict__') else "
           "adapters.release.__self__.__dict__\n"
           "    key = f'token {payload.user_id}'\n"
           "    if key not in known:\n"
           "        known[key] = await called(provider, payload.user_id, payload.reason)\n"
           "    return known[key]", 3),
    Mutant("a dial presents no claim of an identify",
           adapters._dial, "payload.credentials)",
           "__import__('attrs').evolve(payload.credentials, claim=None))", 3),
    Mutant("a dial asks for no replay",
           adapters._dial, "payload.credentials)",
           "__import__('attrs').evolve(payload.credentials, cursor=None))", 3),
    Mutant("each dial begins a new session",
           adapters._dial, "payload.credentials)",
           "__import__('attrs').evolve(payload.credentials, session=None))", 2),
    Mutant("a backend that remembers no identify is believed to remember",
           adapters._dial, "return link.welcome",
           "return __import__('attrs').evolve(link.welcome, identify='remembered')", 4),
    Mutant("a message is sent again under another id",
           adapters._send, "link.send(message)",
           "link.send(__import__('attrs').evolve(message, "
           "client_message_id=f'{message.client_message_id} {payload.attempt}'))", 3),
    Mutant("a message is sent for nobody in particular",
           adapters._send, "link.send(message)",
           "link.send(__import__('attrs').evolve(message, owner=None))", 3),
    Mutant("a shutdown does not revoke the session",
           adapters._part, "payload.session is None", "True", 2),
    Mutant("a shutdown revokes the session only if the goodbye succeeds",
           adapters._part, "link is None", "True", 2),
    # --- calls and listeners ---
    Mutant("who gives up a call is not missed",
           Call._wait, "self._awaiters -= 1\n            self._leave()",
           "self._leave()", 2),
    Mutant("events of one step are told the other way round",
           Listeners.emit, "self._events.append(", "self._events.appendleft("),
    Mutant("async handlers run at the same time",
           Subscription.tell, "if self._worker is None:", "if True:", 2),
    Mutant("a stream gives its newest event first",
           EventStream.__anext__, "self._events.popleft()", "self._events.pop()", 2),
    Mutant("streams do not end with the session",
           Shell._release, "self.listeners.close()", "pass", 2),
    # --- the calls' arguments ---
    Mutant("a shutdown clears nothing but the session",
           SupportChat.shutdown, "Arguments(clear_storage=clear_storage)", "Arguments()", 2),
    Mutant("a message waits for a link, also one that is not to",
           SupportChat.send_message, "queue, timeout)", "True, timeout)", 2),
    Mutant("become() clears nothing",
           SupportChat.become, "clear_storage=clear_storage)", "clear_storage=False)", 3),
    Mutant("the timeout of a call is not taken",
           session._seconds, "return float(timeout)", "return None", 2),
)  # fmt: skip
