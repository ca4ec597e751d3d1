"""A gateway and a database server that is not as it should be: what is refused at the start, what
is said of one that is gone or silent, and that the gateway ends all the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from async_tests import in_real_time
from balancer import balancing
from postgres_server import INSTALL_POOLER, POOLER, PostgresServer, postgres_server
from served import Served, served
from served_arrangement import UNLIMITED
from support_chat.errors import InvalidInputError
from support_chat.ports import Credentials, MessageArrived
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.postgres import PostgresStore, ear
from support_chat_adapters.backend.store import as_it_is
from support_chat_adapters.cli import main
from widget_client import PATIENCE, closed_with, frame, texts, widget_client

WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
STATUS = "--status=127.0.0.1:0"
ENDS_WITHIN = 30.0
"""Seconds; less than the patience of anybody who waits for it to end."""


def ready(gateway: Served) -> tuple[int, str]:
    answer = httpx2.get(f"{gateway.status_url}/readyz", trust_env=False, timeout=PATIENCE)
    return answer.status_code, answer.text.strip()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def port_of(url: str) -> int:
    return int(url.rpartition("/")[0].rpartition(":")[2])


# at the start


def test_a_replica_is_refused(postgres: PostgresServer) -> None:
    with postgres.replica() as replica, pytest.raises(InvalidInputError, match="a replica"):
        PostgresStore(replica.url())


@pytest.mark.skipif(POOLER is None, reason=f"needs pgbouncer: {INSTALL_POOLER}")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_that_passes_no_hints_on_is_refused(
    mode: str, postgres: PostgresServer, database: str
) -> None:
    with postgres.pooled(mode) as port:
        behind = f"postgresql://postgres@127.0.0.1:{port}/{database.rpartition('/')[2]}"
        if mode == "session":
            PostgresStore(behind).close()
            return
        with pytest.raises(InvalidInputError, match="pooler in transaction"):
            PostgresStore(behind)


def test_another_version_of_the_tables_is_refused(database: str) -> None:
    PostgresStore(database).close()
    with psycopg.connect(database) as db:
        db.execute("UPDATE schema_version SET version = version + 1")
    with pytest.raises(InvalidInputError, match="another version of support-chat"):
        PostgresStore(database)


def test_who_may_only_read_and_write_rows_can_serve(database: str) -> None:
    PostgresStore(database).close()
    with psycopg.connect(database) as db:
        db.execute("DROP ROLE IF EXISTS gateway")
        db.execute("CREATE ROLE gateway LOGIN")
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        db.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO gateway")
        db.execute("GRANT SELECT, USAGE ON SEQUENCE numbers TO gateway")
    address = database.replace("postgres@", "gateway@")
    with Backend(PostgresStore(address), **WIDGET) as backend:
        assert backend.open(Credentials(**WIDGET, visitor="v")).welcome.visitor_id


SECRET = "a-password-7d1f"
BAD: dict[str, str] = {
    "no address": f"postgresql://ann:{SECRET}@127.0.0.1:port/chat",
    "no server": f"postgresql://ann:{SECRET}@127.0.0.1:1/chat?password={SECRET}",
    "no such option": f"postgresql://ann:{SECRET}@127.0.0.1:1/chat?pasword={SECRET}",
}


@pytest.mark.parametrize("address", BAD.values(), ids=BAD)
def test_a_complaint_about_an_address_holds_no_password(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", f"--db={address}", f"--key-file={tmp_path / 'key'}"]) == 2
    said = "".join(capsys.readouterr())
    assert "PostgreSQL database" in said or "postgresql://ann@127.0.0.1:" in said
    assert SECRET not in said


def test_a_password_is_told_nobody(database: str, tmp_path: Path) -> None:
    address = database.replace("postgres@", f"postgres:{SECRET}@")
    with served(tmp_path, *UNLIMITED, "--log=json", address=address) as gateway:
        assert SECRET not in gateway.log.read_text()
        with closing(PostgresStore(address)) as store:
            assert SECRET not in repr(vars(store))


# while it serves


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with postgres_server("-c fsync=off") as server:
        address = server.create("chat")
        with (
            served(tmp_path, *UNLIMITED, STATUS, address=address) as gateway,
            widget_client(gateway.url) as client,
        ):
            client.begin()
            with gateway.backend() as backend:
                (visitor,) = backend.agent.visitors()
            message = {"message": "x", "clientMessageId": "m1"}
            with client.gateway() as link:
                cursor = frame(link)["cursor"]
                server.kill()
                eventually(lambda: ready(gateway)[0] == 503)
                answer = client.post("/conversations", message)
                assert answer.status_code == 503
                assert float(answer.headers["retry-after"]) > 0
                server.start()
                eventually(lambda: ready(gateway) == (200, "ready"))
            client.post("/conversations", message).raise_for_status()
            gateway.reply(visitor, "hello again")
            with client.gateway(cursor=cursor) as link:
                assert "gap" not in frame(link)
                assert texts(link, 1) == ["hello again"]


def test_a_gateway_that_hears_nothing_says_so_sheds_its_links_and_recovers(
    database: str, tmp_path: Path
) -> None:
    with balancing(port_of(database)) as between:
        address = database.replace(f":{port_of(database)}", f":{between.port}")
        with (
            served(tmp_path, *UNLIMITED, STATUS, address=address) as gateway,
            widget_client(gateway.url) as client,
        ):
            client.begin()
            with client.gateway() as link:
                assert frame(link)["type"] == "hello"
                between.swallowed = lambda port: True
                assert closed_with(link)[0] == 1012
                assert ready(gateway) == (503, "the database has not told of any news for long")
            between.swallowed = lambda port: False
            eventually(lambda: ready(gateway) == (200, "ready"))
            client.begin()


@pytest.mark.parametrize("how", ["killed", "silent"])
def test_it_ends_in_time_though_its_server_is_gone(how: str, tmp_path: Path) -> None:
    with postgres_server("-c fsync=off") as server, balancing(server.port) as between:
        address = server.create("chat").replace(f":{server.port}", f":{between.port}")
        with served(tmp_path, *UNLIMITED, STATUS, address=address) as gateway:
            if how == "killed":
                server.kill()
            else:
                between.swallowed = lambda port: True
            time.sleep(1.0)  # so that something is under way
            os.kill(gateway.pid, signal.SIGTERM)
            assert gateway.ended(within=ENDS_WITHIN) == 0


# hints


@in_real_time
async def test_what_another_gateway_writes_is_told_by_a_hint(database: str) -> None:
    with (
        Backend(PostgresStore(database), **WIDGET) as one,
        Backend(PostgresStore(database), **WIDGET) as other,
    ):
        credentials = Credentials(**WIDGET, visitor="v")
        link = one.connect(credentials)
        await one.keep_up()  # and never again
        visitor = other.agent.visitors()[0]
        other.agent.reply(visitor, "hello")
        event = await link.next()
        assert isinstance(event, MessageArrived)
        assert event.message.text == "hello"


@in_real_time
async def test_a_listener_that_hears_nothing_any_more_is_missed_and_replaced(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ear, "_BEAT", 0.2)
    monkeypatch.setattr(ear, "_HEARS_WITHIN", 1.0)
    told: list[int] = []
    counted = "SELECT count(*) AS visitors FROM visitors"
    seen = [0]

    def news(db: Any) -> int | None:
        found = int(db.execute(counted).fetchone()["visitors"])
        is_new, seen[0] = found != seen[0], found
        return found if is_new else None

    with balancing(port_of(database)) as between:
        address = database.replace(f":{port_of(database)}", f":{between.port}")
        with closing(PostgresStore(address)) as deaf:
            deaf.follow(news, told.append)
            while len(between.open_ports) > 1:  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.01)
            [its_port] = between.open_ports  # before anything is asked, nothing else is open
            await deaf.read_in_order(lambda db: None, as_it_is)
            between.swallowed = lambda port: port == its_port
            with Backend(PostgresStore(database), **WIDGET) as other:
                other.open(Credentials(**WIDGET, visitor="v"))
            await deaf.read_in_order(lambda db: None, as_it_is)
            assert told == [1], "it is looked for all the same"
            for said in ("does not tell", "write again"):
                while not any(said in each for each in caplog.messages):  # noqa: ASYNC110 - a log
                    await asyncio.sleep(0.05)
            assert not deaf.is_deaf
