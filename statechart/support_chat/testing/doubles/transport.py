"""A transport and its links whose calls a test sees, holds and fails, and through which it speaks
as the backend.
"""

from __future__ import annotations

from ...errors import NetworkError
from ...ports import Credentials, Welcome
from .link import LINK_OPERATIONS, ScriptedLink
from .script import CallLog, PortCall, Script


class RecordingTransport:
    """A `Transport` to a backend that welcomes everyone; it records every call of its own and of
    its links.

    A dial is answered with a `Welcome` to whom it asks to be: the `user_id` of the credentials, one
    visitor id for each visitor credential, the session that it resumes or a new one, no remembered
    claim, nothing missed. `links` holds every link it opened, oldest first.

    `hold`, `release`, `waiting`, `answer_next` and `fail_next` are those of `Script`, for the
    operations `open`, `revoke` and `aclose` and for those of its links: `identify`, `renew`,
    `update`, `send`, `conversations`, `messages`, `mark_read` and `close` (a link's `aclose`). For
    `open` an answer is the `Welcome` of the link; anything else is returned in the link's place.
    """

    def __init__(self, *, log: CallLog | None = None) -> None:
        self.log: CallLog = CallLog() if log is None else log
        self.links: list[ScriptedLink] = []
        self._sessions = 0
        self._visitors: dict[str, str] = {}
        self._script = Script(self.log, ("open", "revoke", "aclose", *LINK_OPERATIONS))
        self.hold = self._script.hold
        self.release = self._script.release
        self.waiting = self._script.waiting
        self.answer_next = self._script.answer_next
        self.fail_next = self._script.fail_next

    @property
    def link(self) -> ScriptedLink:
        """The link opened last; raises NetworkError if there was none yet."""
        if not self.links:
            raise NetworkError(
                "This RecordingTransport has opened no link yet; boot a session on it first."
            )
        return self.links[-1]

    @property
    def open_links(self) -> list[ScriptedLink]:
        """The links that are neither closed, aborted nor lost: a session has at most one."""
        return [link for link in self.links if link.is_open]

    async def open(self, credentials: Credentials) -> ScriptedLink:
        """Dials; records whom it asked to be, whether it resumes a session, the claim and the
        cursor.
        """

        # and no Welcome for sure, for a test may try what becomes of a wrong answer
        def welcome() -> object:
            return self._welcome(credentials)

        call = PortCall(
            "transport",
            "open",
            {
                "user_id": credentials.user_id,
                "resumes": credentials.session is not None,
                "claim": credentials.claim,
                "cursor": credentials.cursor,
            },
            request=credentials,
        )
        answer = await self._script.perform(call, welcome)
        if not isinstance(answer, Welcome):
            return answer  # type: ignore[return-value]
        link = ScriptedLink(answer, self._script, len(self.links) + 1)
        self.links.append(link)
        return link

    async def revoke(self, session: str) -> None:
        """Ends the backend session; the log has its credential as `request` only."""
        await self._script.perform(PortCall("transport", "revoke", request=session), lambda: None)

    async def aclose(self) -> None:
        """Does nothing; links stay as they are."""
        await self._script.perform(PortCall("transport", "aclose"), lambda: None)

    def _welcome(self, credentials: Credentials) -> Welcome:
        session = credentials.session
        if session is None:
            self._sessions += 1
            session = f"session {self._sessions}"
        visitor_id = self._visitors.setdefault(
            credentials.visitor, f"visitor {len(self._visitors) + 1}"
        )
        return Welcome(session, visitor_id, credentials.user_id, cursor=credentials.cursor)
