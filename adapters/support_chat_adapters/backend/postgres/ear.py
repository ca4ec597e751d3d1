"""The listener: hears hints of other gateways, on a connection of its own, and knows whether it
does.

A hint says that there may be news, and nothing else. A connection that hears nothing looks like one
with nothing to hear, so the listener gives itself a hint every few seconds; if it does not hear it,
it takes another connection. What was missed is looked for then, and every second anyway.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import psycopg

from support_chat.errors import InvalidInputError

from .connection import Link
from .links import Links
from .order import CHANNEL

_BEAT: Final = 2.0
"""Seconds between two hints to itself."""
_HEARS_WITHIN: Final = 5.0
"""Seconds within which one must have been heard."""
_PAUSE: Final = 1.0
"""Seconds between two attempts to connect."""
_LOG: Final = logging.getLogger("support_chat.server")


class Ear:
    """Calls `look` when another gateway has given a hint; `name` signs one's own."""

    def __init__(self, links: Links, name: str, look: Callable[[], None]) -> None:
        self._links = links
        self._name = name
        self._look = look
        self._over = threading.Event()
        self._link = self._opened()
        try:
            self._prove(self._link)
        except BaseException:
            links.close(self._link)
            raise
        self.thread = threading.Thread(target=self._work, name="postgres ear", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._link.cut()

    def _opened(self) -> Link:
        link = self._links.open(durable=False)
        try:
            with link.limited():
                link.db.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            self._links.close(link)
            raise
        return link

    def _prove(self, link: Link) -> None:
        """Raises InvalidInputError where a hint from another connection is not heard."""
        other = self._links.open(durable=False)
        try:
            with other.limited():
                self._give(other)
        finally:
            self._links.close(other)
        if not self._hears(link, _HEARS_WITHIN, once=True):
            raise InvalidInputError(
                "The database does not pass on notifications: there is a pooler in transaction or "
                "statement mode before it. Name the server itself, or a pooler in session mode."
            )

    def _give(self, link: Link) -> None:
        link.db.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._name))

    def _hears(self, link: Link, seconds: float, *, once: bool = False) -> bool:
        """Listens for so long, or `once`; whether it has heard itself."""
        itself = False
        for hint in link.db.notifies(timeout=seconds):
            itself = itself or hint.payload == self._name
            if hint.payload != self._name:
                self._look()
            elif once:
                break
        return itself

    def _work(self) -> None:
        complained, complained_at = False, 0.0
        while not self._over.is_set():
            try:
                if not self._link.is_open:
                    self._link = self._opened()
                    self._look()
                heard_at = time.monotonic()
                while True:
                    with self._link.limited(_HEARS_WITHIN):
                        self._give(self._link)
                    if self._hears(self._link, _BEAT):
                        heard_at = time.monotonic()
                    elif time.monotonic() - heard_at > _HEARS_WITHIN:
                        raise psycopg.OperationalError("it does not hear itself")
                    if complained and heard_at > complained_at:
                        _LOG.warning("The database tells of what others write again.")
                        complained = False
            except psycopg.Error as error:
                self._links.close(self._link)
                if not (complained or self._over.is_set()):
                    complained, complained_at = True, time.monotonic()
                    _LOG.warning(
                        "The database does not tell of what others write (%s); it is looked for.",
                        str(error).partition("\n")[0],
                        extra={"fields": {"event": "database", "error": "not heard"}},
                    )
                self._over.wait(_PAUSE)
        self._links.close(self._link)
