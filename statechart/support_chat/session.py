"""`SupportChat`: the calls a frontend makes. Each checks its arguments, becomes a trigger, and
returns a `Call` to await or not.

The rules of what each call does in each phase are the chart's (`support_chat.lifecycle.chart`); the
README shows them as a table.
"""

from __future__ import annotations

import asyncio
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from .arguments import CompanyLike, UserLike, asked_to_boot, asked_to_send, asked_to_update, said_of
from .errors import InvalidInputError, SessionDestroyedError, WrongThreadError
from .lifecycle.chart import CHART
from .lifecycle.events import PhaseChanged
from .lifecycle.names import Phase, Trigger
from .lifecycle.occasion import Asked
from .ports import (
    ListConversations,
    ListMessages,
    MarkRead,
    ReadAnswer,
    Storage,
    TokenProvider,
    Transport,
)
from .runtime.adapters import Place
from .runtime.calls import Call
from .runtime.listeners import EventStream, Listeners, Subscription
from .runtime.runner import Runner
from .settings import Settings
from .values import Conversation, IdentifyResult, Identity, Message, check_id

E = TypeVar("E")


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
        self._place = Place(
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
                "token_provider must be callable without arguments; wrap a fixed token in "
                "StaticToken."
            )
        self._transport = transport
        self._storage = storage
        self._settings = settings or Settings()
        self._provider = token_provider
        self._listeners = Listeners()
        self._runner: Runner | None = None
        self._ending = False

    def __repr__(self) -> str:
        return (
            "<SupportChat "
            f"{self._place.workspace_id}/{self._place.widget_id}/{self._place.scope} {self.state}>"
        )

    # --- where it stands --------------------------------------------------------------------------

    @property
    def state(self) -> Phase:
        """The current phase. Under a type checker use `is_in()`: reading a property twice narrows
        it to nonsense.
        """
        return Phase(self._runner.state.phase if self._runner else CHART.initial)

    def is_in(self, *phases: Phase) -> bool:
        """Whether the session is in one of these phases."""
        return self.state in phases

    @property
    def identity(self) -> Identity | None:
        """Who the live session belongs to, also while it is reconnecting or disconnected; None when
        nobody is live.
        """
        return self._runner.book.identity if self._runner else None

    async def wait_for(self, *phases: Phase) -> Phase:
        """Waits until the session is in one of these phases and returns which.

        Raises SessionDestroyedError when it is destroyed first, InvalidInputError when no phase is
        given.
        """
        if not phases:
            raise InvalidInputError(
                "wait_for() needs at least one phase, for example Phase.AUTHENTICATED."
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
        return self._call(Trigger.LOAD, Asked())

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
        BackendRejectedError, CallTimeoutError, SessionEndedError, SessionDestroyedError.
        """
        return self._call(
            Trigger.BOOT, asked_to_boot(user, company, token_provider, self._provider, timeout)
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
            Trigger.IDENTIFY, asked_to_boot(user, company, token_provider, self._provider, timeout)
        )

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
        return self._call(Trigger.UPDATE, asked_to_update(user, company, context))

    def shutdown(self, *, clear_storage: bool = False) -> Call[None]:
        """Ends the session: nobody is live when this returns; awaiting it waits for the clear, the
        revocation and the goodbye.

        The visitor is kept for the next boot(), unless `clear_storage` removes every key of this
        scope. Raises (when awaited) StorageError, after which the next shutdown() or boot() clears
        first, and SessionDestroyedError.
        """
        if not isinstance(clear_storage, bool):
            raise InvalidInputError(
                f"clear_storage must be True or False, not {type(clear_storage).__name__}."
            )
        return self._call(Trigger.SHUTDOWN, Asked(clear_storage=clear_storage))

    def destroy(self) -> Call[None]:
        """Ends this object for good and releases what it opened; it completes whatever adapters do.
        Raises only WrongThreadError.
        """
        self._ending = True
        return self._call(Trigger.DESTROY, Asked())

    def set_online(self, online: bool) -> None:
        """A hint of the platform: False when the network is known to be down, True when it is back
        and dialling is worthwhile.
        """
        if not isinstance(online, bool):
            raise InvalidInputError(f"online must be True or False, not {type(online).__name__}.")
        self._bound().hint(Trigger.GO_ONLINE if online else Trigger.GO_OFFLINE)

    # --- messages ---------------------------------------------------------------------------------

    def send_message(
        self, text: str, conversation_id: str | None = None, client_message_id: str | None = None
    ) -> Call[Message]:
        """Sends a message, in a new conversation if none is named. Sending again with the same
        client_message_id never makes two.

        Raises on the line InvalidInputError; when awaited NotBootedError, SessionDestroyedError,
        and NetworkError without a link or when the link breaks before the answer, in which case it
        is not known whether it was sent.
        """
        return self._call(
            Trigger.USE, asked_to_send(text, conversation_id, client_message_id or uuid.uuid4().hex)
        )

    def conversations(self) -> Call[Sequence[Conversation]]:
        """Lists the conversations of whoever is live, the newest first. Raises as
        send_message().
        """
        return self._call(Trigger.USE, Asked(use=ListConversations()))

    def start_conversation(
        self,
        text: str,
        *,
        subject: str | None = None,
        tags: Iterable[str] = (),
        custom_fields: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        client_message_id: str | None = None,
    ) -> Call[Message]:
        """Begins a conversation with its first message and with what is to be said of it; returns
        the message, which names it.

        `subject` has at most 255 characters, `tags` are at most 64 of them, the mappings take at
        most 16 KiB of JSON each. Raises as send_message().
        """
        about = said_of(subject, tags, custom_fields, metadata)
        return self._call(
            Trigger.USE, asked_to_send(text, None, client_message_id or uuid.uuid4().hex, about)
        )

    def messages(self, conversation_id: str) -> Call[Sequence[Message]]:
        """Lists the messages of a conversation of whoever is live, the oldest first. Raises as
        send_message().
        """
        return self._call(
            Trigger.USE, Asked(use=ListMessages(check_id("conversation_id", conversation_id)))
        )

    def mark_read(self, conversation_id: str) -> Call[ReadAnswer]:
        """Counts the messages of a conversation so far as read; the answer says how many are unread
        now, as `UnreadChanged` does.

        Raises as send_message(); BackendRejectedError for a conversation that is not theirs.
        """
        return self._call(
            Trigger.USE, Asked(use=MarkRead(check_id("conversation_id", conversation_id)))
        )

    # --- events -----------------------------------------------------------------------------------

    def on(self, kind: type[E], handler: Callable[[E], object]) -> Subscription:
        """Calls `handler` with each event of this kind, after the step that caused it; an async
        handler runs one at a time.

        The subscription ends when it is called, when its `with` block is left, or with destroy().
        """
        subscription = Subscription(kind, handler, self._listeners)
        self._listeners.add(subscription)
        return subscription

    def events(self, *kinds: type[E], buffer: int = 1000) -> EventStream[E]:
        """A stream of the events of these kinds (of all, if none is named), to be entered with
        `async with` and iterated over.
        """
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise InvalidInputError(
                "buffer must be an int of at least 1: the number of events kept for a slow reader."
            )
        return EventStream(kinds or (object,), buffer, self._listeners)

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
        ending, cancelled = asyncio.ensure_future(self._run(self.destroy())), None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _run(self, call: Call[None]) -> None:
        await call

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_runner", None) is not None and not self._ending:
            _warn(
                f"{self!r} was never destroyed: await chat.destroy(), or use `async with`.",
                ResourceWarning,
                source=self,
            )

    def _call(self, trigger: Trigger, asked: Asked) -> Call[Any]:
        runner = self._bound()
        call: Call[Any] = Call(trigger, asked, runner, runner.loop)
        runner.call(call)
        return call

    def _bound(self) -> Runner:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or (self._runner is not None and self._runner.loop is not loop):
            raise WrongThreadError(
                "A session is called from its event loop's own thread. From another thread use "
                "asyncio.run_coroutine_threadsafe(...) with a coroutine that makes the call, or "
                "loop.call_soon_threadsafe(...)."
            )
        if self._runner is None:
            self._runner = Runner(
                self._storage, self._transport, self._place, self._settings, self._listeners, loop
            )
        return self._runner
