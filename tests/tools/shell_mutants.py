"""Mutants of the shell: for each one text in one function that is otherwise, and what that does.

`python tests/tools/simulated.py mutants` looks for each from seed 0 on, and writes the table of
`docs/simulation.md`: how many seeds each took.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Generator, Mapping
from typing import Any, Final

import attrs


@attrs.frozen
class Mutant:
    """What is wrong, in a sentence; the function, by its module in the library and its name there,
    what is replaced in it, and by what. `steps` is how many things must happen in order until it
    shows.
    """

    does: str
    function: str
    old: str
    new: str
    steps: int = 1

    @contextlib.contextmanager
    def at_work(self) -> Generator[None, None, None]:
        """The shell is like this meanwhile."""
        place, _, path = self.function.partition(":")
        module: Any = importlib.import_module(f"support_chat.{place}")
        *owners, name = path.split(".")
        owner: Any = module
        for each in owners:
            owner = getattr(owner, each)
        known = owner.__dict__[name]
        code = textwrap.dedent(inspect.getsource(known))
        if code.count(self.old) != 1:
            raise AssertionError(f"{self.old!r} is not once in {self.function}")
        made: dict[str, Any] = {}
        mutated = f"from __future__ import annotations\n{code.replace(self.old, self.new)}"
        exec(mutated, module.__dict__, made)
        with contextlib.ExitStack() as undone:
            members: dict[str, Any] = dict(owner.__dict__)
            for attribute, value in members.items():
                mutant = _with(value, known, made[name])
                if mutant is not value:
                    undone.callback(setattr, owner, attribute, value)
                    setattr(owner, attribute, mutant)
            yield


def _with(value: Any, known: Any, mutant: Any) -> Any:
    """The mutant in the place of the function that is known; in a table of functions, too."""
    if value is known:
        return mutant
    if not issubclass(type(value), Mapping):
        return value
    table: dict[Any, Any] = dict(value)
    if all(each is not known for each in table.values()):
        return value
    return {key: mutant if each is known else each for key, each in table.items()}


MUTANTS: Final = (
    # --- timers ---
    Mutant(
        "a timer that is stopped runs on", "runtime.shell:Timers.disarm", "handle.cancel()", "pass"
    ),
    Mutant(
        "a timer that is armed again keeps its old time, too",
        "runtime.shell:Timers.arm",
        "self.disarm((timer,))",
        "pass",
        2,
    ),
    Mutant(
        "a timer that runs is not armed anew",
        "runtime.shell:Timers.arm",
        "self.disarm((timer,))",
        "if timer in self._running:\n        return",
        2,
    ),
    Mutant(
        "a timer of more than 30 s runs out after 30 s",
        "runtime.shell:Timers._look",
        "until - self._clock() > 1e-9",
        "False",
        2,
    ),
    Mutant(
        "timers run for half as long",
        "runtime.shell:Shell._arm",
        "command.seconds,",
        "command.seconds / 2,",
    ),
    Mutant(
        "timers run for twice as long",
        "runtime.shell:Shell._arm",
        "command.seconds,",
        "command.seconds * 2,",
    ),
    # --- limits of requests and calls ---
    Mutant(
        "requests have no limit",
        "runtime.shell:Shell._perform",
        "self.loop.call_later(limit, self._expire, performing, limit)",
        "None",
        2,
    ),
    Mutant(
        "requests may take twice their limit",
        "runtime.shell:Shell._perform",
        "call_later(limit,",
        "call_later(2 * limit,",
        2,
    ),
    Mutant(
        "a request over its limit is not given up",
        "runtime.shell:Shell._expire",
        "performing.cancel()",
        "pass",
        2,
    ),
    Mutant(
        "that a request is over its limit is not reported",
        "runtime.shell:Shell._expire",
        "self.take(",
        "repr(",
        2,
    ),
    Mutant(
        "the time of a call is not bounded",
        "runtime.shell:Shell._bound",
        "command.seconds,",
        "command.seconds + 1e6,",
        2,
    ),
    # --- outcomes ---
    Mutant(
        "a request that fails is not reported",
        "runtime.shell:Shell._ended",
        "self._failed(performing.request, error)\n        self.take(",
        "self._failed(performing.request, error)\n        repr(",
        2,
    ),
    Mutant(
        "nothing is heard of a cancelled request, also if it succeeds",
        "runtime.shell:Shell._ended",
        "if task.cancelled() and task.cancelling():",
        "if performing.cancelled:",
        3,
    ),
    Mutant(
        "nothing that is under way is cancelled",
        "runtime.shell:Shell._cancel",
        "performing.cancel()",
        "pass",
        3,
    ),
    Mutant(
        "whatever is under way is cancelled",
        "runtime.shell:Shell._cancel",
        "performing.request.lane in command.lanes",
        "performing.request.lane",
        3,
    ),
    Mutant(
        "numbers of calls are used again",
        "runtime.shell:Shell.call",
        "self._made += 1",
        "self._made = len(self._calls) + 1",
        3,
    ),
    # --- links ---
    Mutant(
        "a link that is let go is not aborted",
        "runtime.shell:Shell._close",
        "link.abort()",
        "pass",
        2,
    ),
    Mutant(
        "a link that ends with an error is not lost",
        "runtime.shell:Shell._lost",
        "if not closed:",
        "if not closed and error is None:",
        2,
    ),
    Mutant(
        "the oldest link is listened to",
        "runtime.shell:Shell._keep",
        "self.links[number]",
        "next(iter(self.links.values()))",
        4,
    ),
    Mutant(
        "a link counts as heard at any time",
        "runtime.shell:Shell._now",
        "at if link is None else at - (self.loop.time() - self._heard_at(link))",
        "at",
        2,
    ),
    Mutant(
        "a link counts as silent at any time",
        "runtime.shell:Shell._heard_at",
        "return heard_at",
        "return -math.inf",
        2,
    ),
    # --- adapters ---
    Mutant(
        "a visitor's secret is the minted one, also where another is stored",
        "runtime.adapters:_create",
        "return await adapters.storage.create(payload.key, secrets.token_urlsafe(32))",
        "minted = secrets.token_urlsafe(32)\n"
        "    await adapters.storage.create(payload.key, minted)\n    return minted",
        2,
    ),
    Mutant(
        "a shutdown clears the visitor, too",
        "runtime.adapters:_clear",
        "found -= {payload.keep}",
        "pass",
        2,
    ),
    Mutant(
        "a full clear keeps the visitor",
        "runtime.adapters:_clear",
        "found -= {payload.keep}",
        "found -= {payload.visitor}",
        2,
    ),
    Mutant(
        "a dial presents no claim of an identify",
        "runtime.adapters:_dial",
        "payload.credentials)",
        "__import__('attrs').evolve(payload.credentials, claim=None))",
        3,
    ),
    Mutant(
        "each dial begins a new session",
        "runtime.adapters:_dial",
        "payload.credentials)",
        "__import__('attrs').evolve(payload.credentials, session=None))",
        2,
    ),
    Mutant(
        "a backend that remembers no identify is believed to remember",
        "runtime.adapters:_dial",
        "return link.welcome",
        "return __import__('attrs').evolve(link.welcome, identify='remembered')",
        4,
    ),
    Mutant(
        "a message is sent again under another id",
        "runtime.adapters:_send",
        "link.send(message)",
        "link.send(__import__('attrs').evolve(message, "
        "client_message_id=f'{message.client_message_id} {payload.attempt}'))",
        3,
    ),
    Mutant(
        "a shutdown does not revoke the session",
        "runtime.adapters:_part",
        "payload.session is None",
        "True",
        2,
    ),
    Mutant(
        "a shutdown revokes the session only if the goodbye succeeds",
        "runtime.adapters:_part",
        "link is None",
        "True",
        2,
    ),
    # --- calls and listeners ---
    Mutant(
        "events of one step are told the other way round",
        "runtime.listeners:Listeners.emit",
        "self._events.append(",
        "self._events.insert(0, ",
    ),
    Mutant(
        "a stream gives its newest event first",
        "runtime.listeners:EventStream.__anext__",
        "self._events.popleft()",
        "self._events.pop()",
        2,
    ),
    Mutant(
        "streams do not end with the session",
        "runtime.shell:Shell._release",
        "self.listeners.close()",
        "pass",
        2,
    ),
    # --- the calls' arguments ---
    Mutant(
        "a shutdown clears nothing but the session",
        "session:SupportChat.shutdown",
        "Arguments(clear_storage=clear_storage)",
        "Arguments()",
        2,
    ),
    Mutant(
        "a message waits for a link, also one that is not to",
        "session:SupportChat.send_message",
        "queue, timeout)",
        "True, timeout)",
        2,
    ),
    Mutant(
        "become() clears nothing",
        "session:SupportChat.become",
        "clear_storage=clear_storage)",
        "clear_storage=False)",
        3,
    ),
    Mutant(
        "the timeout of a call is not taken",
        "session:_seconds",
        "return float(timeout)",
        "return None",
        2,
    ),
    # --- what is not done ---
    Mutant(
        "what a request has brought is lost",
        "runtime.shell:Shell._ended",
        "Outcome(performing.request, task.result())",
        "Outcome(performing.request)",
    ),
    Mutant(
        "a call that fails returns as if it had not",
        "runtime.shell:Shell._settle",
        "command.error",
        "None",
        2,
    ),
    Mutant(
        "who awaits a call is not told that it has ended",
        "runtime.calls:Call.settle",
        "self._settled.set_result(None)",
        "pass",
    ),
    Mutant(
        "hints of the platform are not passed on",
        "runtime.shell:Shell.hint",
        "self.take(Hinted(trigger, call))",
        "pass",
        2,
    ),
    Mutant(
        "no timer is stopped",
        "runtime.shell:Shell._disarm",
        "self.timers.disarm(command.timers)",
        "pass",
        2,
    ),
)
