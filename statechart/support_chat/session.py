"""`SupportChat`: the calls a frontend makes. Each checks its arguments, becomes a trigger, and
returns a `Call` to await or not.

The rules of what each call does in each phase are the chart's (`support_chat.lifecycle.chart`); the
README shows them as a table.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from types import TracebackType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, cast, get_args, overload

import attrs

from .conversation import OpenConversation
from .errors import InvalidInputError, SessionDestroyedError, WrongThreadError
from .lifecycle.calls import Arguments
from .lifecycle.chart import CHART
from .lifecycle.events import AnyEvent, PhaseChanged
from .lifecycle.names import Phase, Trigger
from .lifecycle.outbox import named
from .lifecycle.requests import Keys
from .ports import (
    ListConversations,
    ListMessages,
    MarkRead,
    Outgoing,
    ReadAnswer,
    Storage,
    TokenProvider,
    Transport,
)
from .runtime.calls import Call
from .runtime.listeners import EventStream, Listeners, Subscription
from .runtime.log import SessionLog
from .runtime.shell import Shell
from .runtime.step_log import StepLog, Text
from .runtime.waiting import finished
from .settings import Settings
from .values import (
    MAX_ID_LENGTH,
    NOTHING_SAID,
    UNSET,
    About,
    Changes,
    Company,
    CompanyDict,
    Conversation,
    IdentifyResult,
    Identity,
    Message,
    SignedIn,
    User,
    UserDict,
    check_id,
    check_json,
    check_text,
)

E = TypeVar("E")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
Kind = TypeVar("Kind", User, Company)

UserLike: TypeAlias = "User | UserDict | Mapping[str, Any]"
"""A `User`, or a mapping of its keys."""
CompanyLike: TypeAlias = "Company | CompanyDict | Mapping[str, Any]"
"""A `Company`, or a mapping of its keys."""

# stands for the id that an update may leave out, while the rest of the mapping is checked
_ANYBODY: Final = "-"
MAX_TEXT: Final = 16 * 1024
"""Longest message, in characters."""
MAX_TAGS: Final = 64
"""Most tags of a conversation."""


class SupportChat:
    """A support-chat session: boot it, identify its user, update them, shut it down, destroy it.

    `transport` and `storage` are adapters (see `support_chat.ports`); whoever made them closes
    them, and several sessions may share them. `scope` keeps the keys of sessions on one storage
    apart: a server passes its browser-session id. `token_provider` is used where boot() or
    identify() names a user and gives none. Use it as `async with SupportChat(...) as chat:` to load
    on entry and destroy on exit; without `with`, the first call loads, and destroy() ends it. The
    first call binds the running event loop; from another thread or loop every call raises
    WrongThreadError before anything happens.

    Raises InvalidInputError for an id that cannot be one, or something that is no `Settings`.
    """

    def __init__(
        self,
        *,
        workspace_id: str,
        widget_id: str,
        transport: Transport,
        storage: Storage,
        settings: Settings | None = None,
        scope: str = "default",
        token_provider: TokenProvider | None = None,
    ) -> None:
        self._keys = Keys(
            check_id("workspace_id", workspace_id),
            check_id("widget_id", widget_id),
            check_id("scope", scope),
        )
        if settings is not None and not isinstance(settings, Settings):
            raise InvalidInputError(
                "settings must be a support_chat.Settings; make one with "
                "Settings(boot_timeout=...)."
            )
        if token_provider is not None and not callable(token_provider):
            raise InvalidInputError(
                "token_provider must be callable; wrap a fixed token in StaticToken."
            )
        self._transport = transport
        self._storage = storage
        self._settings = settings or Settings()
        self._provider = token_provider
        self._log = SessionLog(self._keys)
        self._listeners = Listeners(self._log)
        self._shell: Shell | None = None
        self._process = os.getpid()
        self._ending = False
        self._next: tuple[Identity | None, OpenConversation] | None = None
        """The conversation that this identity begins next."""

    def __repr__(self) -> str:
        return f"<SupportChat {self._log.label} {self.state}>"

    def _repr_html_(self) -> str:
        """Where it stands and for whom, as a notebook shows it: nothing secret is in it."""
        who = self.identity
        kind = "user " if isinstance(who, SignedIn) else "visitor " if who else ""
        told = f"<b>{escape(self.state)}</b> · {kind}{escape(str(who or 'nobody'))}"
        return f"<p>SupportChat {escape(self._log.label)}: {told}</p>"

    # --- where it stands --------------------------------------------------------------------------

    @property
    def state(self) -> Phase:
        """The current phase. Under a type checker use `is_in()`: reading a property twice narrows
        it to nonsense.
        """
        return Phase(self._shell.snapshot.state.phase if self._shell else CHART.initial)

    def is_in(self, *phases: Phase) -> bool:
        """Whether the session is in one of these phases."""
        return self.state in phases

    @property
    def identity(self) -> Identity | None:
        """Who the live session belongs to, also while it is reconnecting or disconnected; None when
        nobody is live.
        """
        return self._shell.snapshot.context.identity if self._shell else None

    @property
    def trouble(self) -> Exception | None:
        """Why there is no link: the error of the last attempt, or of the link that was lost; None
        while there is one, and while nobody wants one.
        """
        return self._shell.snapshot.context.trouble if self._shell else None

    @property
    def connected(self) -> bool:
        """Whether a link is open."""
        return self._shell is not None and self._shell.snapshot.link is not None

    @property
    def unread(self) -> int | None:
        """How many messages of agents are unread; None while nobody is live, so that it is not
        known.
        """
        context = self._shell.snapshot.context if self._shell else None
        return None if context is None or context.identity is None else context.unread

    @property
    def outbox(self) -> Sequence[Outgoing]:
        """The messages that have no answer yet, in the order of the calls."""
        entries = self._shell.snapshot.context.outbox.entries if self._shell else ()
        sent = (entry.message for entry in entries)
        return [message for message in sent if isinstance(message, Outgoing)]

    @property
    def busy(self) -> bool:
        """Whether destroy() would cut something off: a call or a message without an answer yet, a
        stream of events that somebody reads, or a clear that has failed and is still owed.
        """
        return self._shell is not None and self._shell.busy

    async def wait_for(self, *phases: Phase) -> Phase:
        """Waits until the session is in one of these phases and returns which.

        Raises SessionDestroyedError when it is destroyed first, InvalidInputError when no phase is
        given, or what is none.
        """
        if not phases or not {*phases} <= {*Phase}:
            raise InvalidInputError(
                "wait_for() needs at least one phase, and nothing but phases, for example "
                "Phase.AUTHENTICATED."
            )
        self._bound()
        async with self.events(PhaseChanged, buffer=1_000_000) as changes:
            if self.is_in(*phases):
                return self.state
            async for change in changes:
                if change.current in phases:
                    return change.current
        raise SessionDestroyedError(
            "The session was destroyed before it was in the phase waited for: make a new one."
        )

    # --- the lifecycle ----------------------------------------------------------------------------

    def load(self) -> Call[None]:
        """Checks the adapters, which the first boot() does as well; use it to learn of a broken
        storage early.

        Raises (when awaited) StorageError, SessionEndedError, SessionDestroyedError.
        """
        return self._call(Trigger.LOAD, Arguments())

    def boot(
        self,
        *,
        user: UserLike | None = None,
        company: CompanyLike | None = None,
        token_provider: TokenProvider | None = None,
        timeout: float | None = None,
    ) -> Call[Identity]:
        """Makes the session live: as `user`, or without one as the anonymous visitor of this
        storage. Returns who it is live for.

        A second boot() of the same identity joins the one under way or is done at once; of another
        one it raises. `timeout` is in seconds (Settings.boot_timeout by default). Raises on the
        line InvalidInputError; when awaited IdentityConflictError, StorageError,
        TokenProviderError, TokenRefusedError, AuthRefusedError, RateLimitedError,
        NotABackendError, BackendRejectedError, CallTimeoutError, SessionEndedError,
        SessionDestroyedError.
        """
        return self._call(
            Trigger.BOOT, _boot_arguments(user, company, token_provider, self._provider, timeout)
        )

    def identify(
        self,
        *,
        user: UserLike,
        company: CompanyLike | None = None,
        token_provider: TokenProvider | None = None,
        timeout: float | None = None,
    ) -> Call[IdentifyResult]:
        """Turns the anonymous visitor into `user` without leaving the session; the visitor's
        conversations become the user's.

        While a boot is under way or the link is gone it waits. `timeout` is in seconds
        (Settings.call_timeout by default); when it ends an identify that was sent, the outcome is
        unknown, and the session finds out by itself. Raises on the line InvalidInputError; when
        awaited NotBootedError, IdentityConflictError, TokenProviderError, TokenRefusedError,
        AuthRefusedError, RateLimitedError, CallTimeoutError, SessionEndedError,
        SessionDestroyedError.
        """
        if user is None:
            raise InvalidInputError(
                "identify() needs a user; boot() without one begins an anonymous session."
            )
        return self._call(
            Trigger.IDENTIFY,
            _boot_arguments(user, company, token_provider, self._provider, timeout),
        )

    def become(
        self,
        user: UserLike | None,
        *,
        company: CompanyLike | None = None,
        token_provider: TokenProvider | None = None,
        clear_storage: bool = False,
        timeout: float | None = None,
    ) -> Call[Identity]:
        """Makes the session whoever the site says it is now, and returns that: boots, identifies
        the visitor, or ends the session of somebody else and boots anew; nothing if it is so
        already.

        Call it where a page or a window learns who its user is, None for nobody, and only where
        that was verified just now: a late request with an old cookie would sign the browser out.
        The last call wins. A visitor becomes a user by an identify(), so that their conversations
        move; None over a visitor is done at once. `token_provider` is for the user, if there is
        one. Where a session ends, `clear_storage` removes every key of the scope with it. `timeout`
        is in seconds (that of a boot() or an identify() by default).

        Raises:
            InvalidInputError: on the line.
            SessionEndedError: a later become() has named somebody else, or shutdown() came.
            SupportChatError: as boot() and identify() do.
        """
        if not isinstance(clear_storage, bool):
            raise InvalidInputError(
                f"clear_storage must be True or False, not {type(clear_storage).__name__}."
            )
        provider = None if user is None else token_provider
        arguments = _boot_arguments(user, company, provider, self._provider, timeout)
        return self._call(Trigger.BECOME, attrs.evolve(arguments, clear_storage=clear_storage))

    def update(
        self,
        *,
        user: UserLike | None = None,
        company: CompanyLike | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Call[float]:
        """Records what has changed; it is merged key by key and sent when the limit of updates and
        the link allow.

        Returns the seconds until it leaves: 0.0 for now, infinity while there is no link or an
        identify is open. None erases a value. `user` may leave out its id, or name the session's
        user. Raises on the line InvalidInputError; when awaited NotBootedError,
        IdentityConflictError, SessionDestroyedError.
        """
        return self._call(Trigger.UPDATE, _update_arguments(user, company, context))

    def shutdown(self, *, clear_storage: bool = False) -> Call[None]:
        """Ends the session: nobody is live when this returns; awaiting it waits for the clear, the
        revocation and the goodbye: 10 s at most by default, twice `Settings.storage_timeout` or
        `revoke_timeout` if that is longer. Another shutdown(clear_storage=True) that comes
        meanwhile may prolong it by its clear.

        The visitor is kept for the next boot(), unless `clear_storage` removes every key of this
        scope. Raises (when awaited) SessionDestroyedError; and StorageError as soon as the clear
        has failed, whether or not the goodbye is still under way: the next shutdown() or boot()
        clears first.
        """
        if not isinstance(clear_storage, bool):
            raise InvalidInputError(
                f"clear_storage must be True or False, not {type(clear_storage).__name__}."
            )
        return self._call(Trigger.SHUTDOWN, Arguments(clear_storage=clear_storage))

    def destroy(self) -> Call[None]:
        """Ends this object for good and releases what it opened; it completes whatever adapters do.
        Raises only WrongThreadError.
        """
        self._ending = True
        return self._call(Trigger.DESTROY, Arguments())

    def set_online(self, online: bool) -> None:
        """A hint of the platform: False when the network is known to be down, True when it is back
        and dialling is worthwhile.
        """
        if not isinstance(online, bool):
            raise InvalidInputError(f"online must be True or False, not {type(online).__name__}.")
        self._bound().hint(Trigger.GO_ONLINE if online else Trigger.GO_OFFLINE)

    # --- messages ---------------------------------------------------------------------------------

    def send_message(
        self,
        text: str,
        conversation_id: str | None = None,
        client_message_id: str | None = None,
        *,
        queue: bool = True,
        timeout: float | None = None,
    ) -> Call[Message]:
        """Sends a message, in a new conversation if none is named; awaited, returns it as the
        backend stored it.

        Messages of one conversation are stored in the order of the calls, awaited or not. One that
        cannot leave waits for the link, and is sent again under its `client_message_id`, which
        never makes two, until the backend answers: `MessageQueued`, `MessageSent` and
        `MessageFailed` tell of it. `timeout` is how many seconds the call waits, None for
        `Settings.outbox_timeout`: a message that has not left by then never leaves. Cancelling the
        call withdraws it, or, once it has left, ends its resends, as `withdraw()` does. With
        `queue=False` it is sent once and at once or not at all, as a page that a server renders
        wants it.

        Raises:
            InvalidInputError: on the line, for a text or an id that cannot be one.
            NotBootedError: nobody is booted or being booted.
            OutboxFullError: `Settings.outbox_size` messages have no answer yet.
            BackendRejectedError: the backend does not take it; no retry helps.
            CallTimeoutError: the time is over; it says whether the message may have arrived.
            NetworkError: with `queue=False` alone: there is no link, or it broke before the answer.
            SessionEndedError, SessionDestroyedError: the session ended first.
            MessageWithdrawnError: withdraw() has taken it back.
        """
        return self._send(text, conversation_id, client_message_id, NOTHING_SAID, queue, timeout)

    def withdraw(self, client_message_id: str) -> bool:
        """Takes back a message that has no answer yet, whether or not a call still waits for it:
        for one that was told as unknown, or a button beside one that waits for the network.

        One that never left never leaves. One that has left may have arrived, and is not sent again:
        `MessageFailed` says so with `outcome_unknown`. If it is under way, its answer still counts.
        Later ones of its conversation go on. Returns whether there is such a message.

        Raises:
            WrongThreadError: from another thread or loop.
        """
        shell = self._bound()
        entry = named(shell.snapshot.context.outbox, client_message_id)
        if entry is not None:
            shell.hint(Trigger.WITHDRAW, entry.number)
        return entry is not None

    def conversations(self) -> Call[Sequence[Conversation]]:
        """Lists the conversations of whoever is live, the newest first.

        Raises when awaited NotBootedError, SessionDestroyedError, RateLimitedError,
        BackendRejectedError, and NetworkError without a link or when it breaks before the answer.
        """
        return self._call(Trigger.USE, Arguments(use=ListConversations()))

    def start_conversation(
        self,
        text: str,
        *,
        subject: str | None = None,
        tags: Iterable[str] = (),
        custom_fields: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        client_message_id: str | None = None,
        queue: bool = True,
        timeout: float | None = None,
    ) -> Call[Message]:
        """Begins a conversation with its first message and with what is to be said of it; returns
        the message, which names it.

        `subject` has at most 255 characters, `tags` are at most 64 of them, the mappings take at
        most 16 KiB of JSON each. Raises as send_message().
        """
        about = _about(subject, tags, custom_fields, metadata)
        return self._send(text, None, client_message_id, about, queue, timeout)

    def conversation(self, conversation_id: str | None = None) -> OpenConversation:
        """A conversation to hold on to: to send into it, and to be told each of its messages once
        and in order. Without an id it begins with the first message that is sent into it.

        Raises:
            InvalidInputError: on the line, for an id that cannot be one.
        """
        if conversation_id is not None:
            check_id("conversation_id", conversation_id)
        return OpenConversation(self, self._send, conversation_id)

    async def newest_conversation(self) -> OpenConversation:
        """The newest conversation of whoever is live, to hold on to; where they have none, the one
        that begins next: with the first message that is sent into it, here or elsewhere. It is the
        same one for all who ask meanwhile, so messages sent at once begin one conversation.

        Raises as conversations().
        """
        listed = await self.conversations()
        if listed:
            return self.conversation(listed[0].id)
        who = self.identity
        if self._next is None or self._next[0] != who:
            self._next = (who, OpenConversation(self, self._send, None, joins=True))
        return self._next[1]

    def messages(
        self, conversation_id: str, *, before: str | None = None, limit: int | None = None
    ) -> Call[Sequence[Message]]:
        """Lists the messages of a conversation of whoever is live, the oldest first: all of them,
        or the last `limit` before the one with the id `before`.

        Raises as conversations().
        """
        check_id("conversation_id", conversation_id)
        if before is not None:
            check_id("before", before)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise InvalidInputError("limit must be an int: how many messages to list, or None.")
        if limit is not None and limit < 1:
            raise InvalidInputError("limit must be at least 1, or None for every message.")
        return self._call(
            Trigger.USE, Arguments(use=ListMessages(conversation_id, before=before, limit=limit))
        )

    def mark_read(self, conversation_id: str, up_to: str | None = None) -> Call[ReadAnswer]:
        """Counts the messages of a conversation as read, up to the one with the id `up_to`;
        awaited, returns how many are unread then, as `unread` says too.

        Name the last message that was shown: what arrives meanwhile then stays unread, and the mark
        is owed: it is sent again until the backend has it. The call waits for no link: without one,
        or without an answer, it returns at once, and how many are unread is None. Without `up_to`
        all messages so far are read, at once or not at all.

        Raises:
            InvalidInputError: on the line, for an id that cannot be one.
            NotBootedError: nobody is booted or being booted.
            BackendRejectedError: the conversation is not theirs. Of a mark that was owed an
                `ErrorOccurred` tells it.
            OutboxFullError: `Settings.outbox_size` marks are owed.
            NetworkError: without `up_to` alone: there is no link, or it broke before the answer.
            SessionEndedError, SessionDestroyedError: the session ended first.
        """
        check_id("conversation_id", conversation_id)
        if up_to is not None:
            check_id("up_to", up_to)
        mark = MarkRead(conversation_id, up_to)
        return self._call(Trigger.SEND, Arguments(message=mark, queue=up_to is not None))

    # --- events -----------------------------------------------------------------------------------

    @overload
    def on(self, kind: type[E], handler: Callable[[E], object]) -> Subscription: ...

    @overload
    def on(self, kind: type[object], handler: Callable[[AnyEvent], object]) -> Subscription: ...

    @overload
    def on(self, kind: UnionType, handler: Callable[[Any], object]) -> Subscription: ...

    def on(self, kind: type[object] | UnionType, handler: Callable[[Any], object]) -> Subscription:
        """Calls `handler` with each event of this kind (a class, a union of some, or `object` for
        all), after the step that caused it; an async handler runs one at a time.

        The subscription ends when it is called, when its `with` block is left, or with destroy().

        Raises:
            InvalidInputError: on the line, for what is no class of events, or no handler.
        """
        _check_event(kind)
        if not callable(handler):
            raise InvalidInputError(f"the handler must be callable, not {type(handler).__name__}.")
        subscription = Subscription(kind, handler, self._listeners)
        self._listeners.add(subscription)
        return subscription

    @overload
    def events(self, *, buffer: int = ...) -> EventStream[AnyEvent]: ...

    @overload
    def events(self, kind: type[E], /, *, buffer: int = ...) -> EventStream[E]: ...

    @overload
    def events(
        self, one: type[E], two: type[E2], /, *, buffer: int = ...
    ) -> EventStream[E | E2]: ...

    @overload
    def events(
        self, one: type[E], two: type[E2], three: type[E3], /, *, buffer: int = ...
    ) -> EventStream[E | E2 | E3]: ...

    @overload
    def events(self, *kinds: type[AnyEvent], buffer: int = ...) -> EventStream[AnyEvent]: ...

    def events(self, *kinds: type[Any], buffer: int = 1000) -> EventStream[Any]:
        """A stream of the events of these kinds (of all, if none is named), to be entered with
        `async with` and iterated over.

        Raises:
            InvalidInputError: on the line, for what is no class of events, or no buffer.
        """
        for kind in kinds:
            _check_event(kind)
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise InvalidInputError(
                "buffer must be an int of at least 1: the number of events kept for a slow reader."
            )
        return EventStream(kinds or (object,), buffer, self._listeners)

    def log_steps(self, file: Text) -> StepLog:
        """Writes each step of the session from now on as a line of JSON into `file`, until the log
        that it returns is closed, as by `with`; `support-chat trace` judges it.

        The lines hold names of the chart alone: no id, no token, no text. A file that cannot be
        written to is given up, and the session's log says so.

        Raises:
            WrongThreadError: from another thread or loop.
        """
        return self._bound().log_steps(file)

    # --- machinery --------------------------------------------------------------------------------

    async def __aenter__(self) -> SupportChat:
        try:
            await self.load()
        except BaseException:
            await self._destroyed()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._destroyed()

    async def _destroyed(self) -> None:
        """Destroys, and finishes even when whoever waits is cancelled meanwhile."""
        await finished(asyncio.ensure_future(self._run(self.destroy())))

    async def _run(self, call: Call[None]) -> None:
        await call

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_shell", None) is not None and not self._ending:
            _warn(
                f"{self!r} was never destroyed: await chat.destroy(), or use `async with`.",
                ResourceWarning,
                source=self,
            )

    def _send(
        self,
        text: str,
        conversation_id: str | None,
        client_message_id: str | None,
        about: About,
        queue: bool,
        timeout: float | None,
        thread: str | None = None,
    ) -> Call[Message]:
        name = client_message_id or uuid.uuid4().hex
        arguments = _send_arguments(text, conversation_id, name, about, queue, timeout)
        return self._call(Trigger.SEND, attrs.evolve(arguments, thread=thread))

    def _call(self, trigger: Trigger, arguments: Arguments) -> Call[Any]:
        shell = self._bound()
        call: Call[Any] = Call(trigger, arguments, shell, shell.loop)
        shell.call(call)
        return call

    def _bound(self) -> Shell:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or (self._shell is not None and self._shell.loop is not loop):
            raise WrongThreadError(self._misplaced())
        if self._shell is None:
            self._process = os.getpid()
            self._shell = Shell(
                self._storage,
                self._transport,
                self._keys,
                self._settings,
                self._listeners,
                self._log,
                loop,
            )
        return self._shell

    def _misplaced(self) -> str:
        """Why no call can be made here, and the way out."""
        if self._shell is not None and self._process != os.getpid():
            return (
                "This session was used before a fork, and its event loop is in the other process: "
                "make a new SupportChat in this one."
            )
        if self._shell is not None and self._shell.loop.is_closed():
            return (
                "The event loop of this session has ended, as with the asyncio.run() that it was "
                "used in: make a new SupportChat in each asyncio.run()."
            )
        return (
            "A session is called from a coroutine on its event loop, as in asyncio.run(main()), "
            "and no call can be made from another loop or thread. From there use "
            "asyncio.run_coroutine_threadsafe(...) with a coroutine that makes the call, or "
            "loop.call_soon_threadsafe(...)."
        )


def _check_event(kind: object) -> None:
    """Raises InvalidInputError unless this is a class of events, or a union of some."""
    named = get_args(kind) or (kind,)
    if not set(named) <= {object, *get_args(AnyEvent)}:
        raise InvalidInputError(
            f"{kind!r} is no event: name the class, as in chat.on(PhaseChanged, handler)."
        )


# --- arguments: what is wrong is found on the line of the call ------------------------------------


def _boot_arguments(
    user: UserLike | None,
    company: CompanyLike | None,
    provider: TokenProvider | None,
    fallback: TokenProvider | None,
    timeout: float | None,
) -> Arguments:
    """The arguments of boot() and identify(). Raises InvalidInputError."""
    named = None if user is None else _as(User, "user", user)
    if provider is not None and not callable(provider):
        raise InvalidInputError(
            "token_provider must be callable; wrap a fixed token in StaticToken."
        )
    if provider is not None and named is None:
        raise InvalidInputError(
            "token_provider needs the user whose tokens it provides; pass user=..., or leave it "
            "out."
        )
    return Arguments(
        user_id=named.id if named else None,
        changes=_own({**_user_changes(named), **_company_changes(company)}),
        provider=provider,
        fallback=fallback if named else None,
        timeout=_seconds(timeout),
    )


def _update_arguments(
    user: UserLike | None, company: CompanyLike | None, context: Mapping[str, Any] | None
) -> Arguments:
    """The arguments of update(). Raises InvalidInputError, also when there is nothing to update."""
    if user is None and company is None and context is None:
        raise InvalidInputError("update() has nothing to update; pass user=, company= or context=.")
    named, user_id = None, None
    if user is not None:
        if isinstance(user, Mapping) and "id" not in user:
            named = _as(User, "user", {**user, "id": _ANYBODY})
        else:
            named = _as(User, "user", user)
            user_id = named.id
    if context is not None:
        check_json("context", context)
    paths = {f"context.{key}": value for key, value in (context or {}).items()}
    return Arguments(
        user_id=user_id,
        changes=_own({**_user_changes(named), **_company_changes(company), **paths}),
    )


def _send_arguments(
    text: str,
    conversation_id: str | None,
    client_message_id: str,
    about: About,
    queue: bool,
    timeout: float | None,
) -> Arguments:
    """The arguments of send_message() and start_conversation(). Raises InvalidInputError."""
    if not check_text("text", text).strip():
        raise InvalidInputError("text must be a str that is not blank; there is nothing to send.")
    if len(text) > MAX_TEXT:
        raise InvalidInputError(
            f"text has {len(text)} characters; at most {MAX_TEXT} are allowed. Send it in parts."
        )
    if conversation_id is not None:
        check_id("conversation_id", conversation_id)
    check_id("client_message_id", client_message_id)
    return Arguments(
        message=Outgoing(client_message_id, text, conversation_id, about),
        queue=bool(queue),
        timeout=_seconds(timeout),
    )


def _about(
    subject: str | None,
    tags: Iterable[str],
    custom_fields: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
) -> About:
    """What start_conversation() says of the conversation. Raises InvalidInputError."""
    if subject is not None and (not isinstance(subject, str) or len(subject) > MAX_ID_LENGTH):
        raise InvalidInputError(
            f"subject must be a str of at most {MAX_ID_LENGTH} characters, or None."
        )
    if subject is not None:
        check_text("subject", subject)
    listed = isinstance(tags, Iterable) and not isinstance(tags, str)
    labels = tuple(tags) if listed else ()
    if not listed or len(labels) > MAX_TAGS:
        raise InvalidInputError(f"tags must be a list of at most {MAX_TAGS} texts.")
    for name, value in (("custom_fields", custom_fields), ("metadata", metadata)):
        if value is not None:
            check_json(name, value)
    return About(
        subject=subject,
        tags=tuple(check_id("tag", label) for label in labels),
        custom_fields=_own(custom_fields or {}),
        metadata=_own(metadata or {}),
    )


def _own(changes: Changes) -> Changes:
    """A copy that the caller cannot change afterwards."""
    copied: Changes = json.loads(json.dumps(changes))
    return copied


def _seconds(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise InvalidInputError(
            "timeout must be a positive number of seconds, or None for the one in Settings."
        )
    return float(timeout)


def _as(kind: type[Kind], name: str, value: Any) -> Kind:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInputError(
            f"{name} must be a {kind.__name__} or a mapping of its keys, not "
            f"{type(value).__name__}."
        )
    given = cast("Mapping[str, Any]", value)
    known = [field.name for field in attrs.fields(kind)]
    for key in given:
        if key not in known:
            raise InvalidInputError(
                f"{name} has no key {key!r} (it has {', '.join(known)}): put it in traits."
            )
    if "id" not in given:
        raise InvalidInputError(
            f"{name} needs an id: the one that your own system knows this {name} by."
        )
    return kind(**given)


def _user_changes(user: User | None) -> Changes:
    if user is None:
        return {}
    given = {"user.email": user.email, "user.name": user.name}
    traits = {f"user.traits.{key}": value for key, value in user.traits.items()}
    return {**{path: value for path, value in given.items() if value is not UNSET}, **traits}


def _company_changes(company: CompanyLike | None) -> Changes:
    if company is None:
        return {}
    value = _as(Company, "company", company)
    given = {"company.id": value.id, "company.name": value.name, "company.plan": value.plan}
    traits = {f"company.traits.{key}": item for key, item in value.traits.items()}
    return {**{path: item for path, item in given.items() if item is not UNSET}, **traits}
