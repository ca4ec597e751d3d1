"""The connections of one store, and the thread that cuts those that do not answer: a network that
swallows everything gives no error.
"""

from __future__ import annotations

import threading
from typing import Final

from .connection import Link, Server

_LOOKS: Final = 0.5
"""Seconds between two looks."""


class Links:
    """Opens connections, and knows those that are open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open: set[Link] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="postgres watch", daemon=True)
        self._thread.start()

    @property
    def patience(self) -> float:
        """Seconds for which work waits for others."""
        return self._server.patience

    def open(self, *, durable: bool = True) -> Link:
        """A new connection; raises psycopg.OperationalError."""
        link = self._server.connect(durable=durable)
        with self._lock:
            self._open.add(link)
        if self._over.is_set():
            link.cut()
        return link

    def close(self, link: Link) -> None:
        """Closes a connection."""
        with self._lock:
            self._open.discard(link)
        link.close()

    def cut_all(self) -> None:
        """Whoever waits on a connection is told that it is over, now and from now on."""
        self._over.set()
        with self._lock:
            for link in self._open:
                link.cut()

    def _watch(self) -> None:
        while not self._over.wait(_LOOKS):
            with self._lock:
                for link in self._open:
                    if link.is_late:
                        link.cut()
