"""Who holds delivery up, and for how long: a gateway that stops in the middle of a transaction,
until the server ends it; a transaction of somebody else, however long, not at all.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import Any

import psycopg
import pytest

from async_tests import in_real_time
from postgres_server import PostgresServer
from support_chat_adapters.backend import conversations, stream
from support_chat_adapters.backend.postgres import PostgresStore, connection
from support_chat_adapters.backend.store import Transaction, as_it_is


def opened(database: str, told: list[str]) -> PostgresStore:
    """A store that tells the texts of messages."""
    store = PostgresStore(database)
    position = [0]

    def news(db: Transaction) -> list[str] | None:
        found = stream.since(db, position[0])
        if not found:
            return None
        position[0] = found[-1].number
        return [each.event.message.text for each in found]

    store.follow(news, told.extend)
    return store


def say(text: str) -> Any:
    def work(db: Transaction) -> str:
        db.lock(f"user:{text}")
        conversation = conversations.start(db, f"user:{text}", 0.0)
        return conversations.append(db, f"user:{text}", conversation, "user", text, 0.0).text

    return work


@in_real_time
async def test_who_stops_in_the_middle_of_a_transaction_is_ended_by_the_server(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_IN_THE_MIDDLE", 1.0)
    with closing(opened(database, [])) as store:
        stopped, go_on, told = threading.Event(), threading.Event(), list[str]()

        def stops(db: Transaction) -> str:
            text = say("stopped")(db)
            stopped.set()
            go_on.wait(60.0)
            return str(text)

        with closing(opened(database, told)) as other:
            stopping = asyncio.ensure_future(store.write(stops, as_it_is))
            assert await asyncio.to_thread(stopped.wait, 60.0)
            await other.write(say("fast"), as_it_is)
            assert told == [], "a smaller number may still come"
            while not told:
                await other.read_in_order(lambda db: None, as_it_is)
                await asyncio.sleep(0.05)
            assert told == ["fast"]
            go_on.set()
            assert await stopping == "stopped", "it begins again"
            await other.read_in_order(lambda db: None, as_it_is)
            assert told == ["fast", "stopped"], "and is done once"


@in_real_time
async def test_a_long_transaction_of_another_database_holds_nobody_up(
    postgres: PostgresServer, database: str
) -> None:
    told: list[str] = []
    with psycopg.connect(postgres.url()) as long, closing(opened(database, told)) as store:
        long.execute("CREATE TEMPORARY TABLE written (number INTEGER)")
        long.execute("SELECT pg_current_xact_id(), pg_advisory_xact_lock_shared(23760, 0)")
        for text in ("one", "two"):
            await store.write(say(text), as_it_is)
        await store.read_in_order(lambda db: None, as_it_is)
        assert told == ["one", "two"]
