"""What an operator sees of a server, and what it does when it is told to end, or its database is in
trouble.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from raw_peer import raw_peer
from served import Served, served
from support_chat_adapters.backend.server.condition import Condition
from support_chat_adapters.backend.server.counts import Counts
from support_chat_adapters.backend.server.logs import JSONLines
from widget_client import BASE, PATIENCE, WidgetClient, closed_with, frame, problem

Clients = Callable[[Served], WidgetClient]
STATUS = "--status=127.0.0.1:0"
_LEAVES_WITHIN = 10.0


@pytest.fixture
def operated(tmp_path: Path) -> Generator[Served, None, None]:
    """A backend that tells how it is, in lines of JSON, too."""
    with served(tmp_path, STATUS, "--log=json") as backend:
        yield backend


def ask(backend: Served, path: str) -> tuple[int, str]:
    """What its status says."""
    answer = httpx2.get(f"{backend.status_url}{path}", trust_env=False, timeout=PATIENCE)
    return answer.status_code, answer.text


def metrics(backend: Served) -> dict[tuple[str, str], float]:
    """Each sample by its name and the values of its labels."""
    status, text = ask(backend, "/metrics")
    assert status == 200
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lines(backend: Served) -> list[dict[str, Any]]:
    """The log, a line of JSON each."""
    return [json.loads(line) for line in backend.log.read_text().splitlines()]


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# what it tells


def test_alive_and_ready(operated: Served) -> None:
    assert ask(operated, "/healthz") == (200, "alive\n")
    assert ask(operated, "/readyz") == (200, "ready\n")


def test_status_and_widget_are_each_at_their_own_address(operated: Served) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert httpx2.get(operated.url + path, trust_env=False).status_code == 404
    query = {"workspace_id": "demo", "widget_id": "web"}
    for url, status in ((operated.url, 200), (operated.status_url, 404)):
        answer = httpx2.get(f"{url}{BASE}/config", params=query, trust_env=False)
        assert answer.status_code == status


def test_metrics_count_requests_links_and_connections(operated: Served, client_of: Clients) -> None:
    client = client_of(operated)
    client.begin()
    for _ in range(3):
        client.get("/conversations").raise_for_status()
    client.session = ""
    assert client.get("/conversations").status_code == 401
    client.begin()
    with client.gateway() as link:
        assert frame(link)["type"] == "hello"
        found = metrics(operated)
    assert found["support_chat_requests_total", "openSession 200"] == 2
    assert found["support_chat_requests_total", "listConversations 200"] == 3
    assert found["support_chat_requests_total", "listConversations 401"] == 1
    assert found["support_chat_request_seconds_count", "listConversations"] == 4
    assert found["support_chat_request_seconds_bucket", "listConversations +Inf"] == 4
    assert found["support_chat_request_seconds_sum", "listConversations"] > 0
    assert found["support_chat_links", ""] == 1
    assert found["support_chat_connections", ""] >= 2
    assert found["support_chat_ready", ""] == 1
    assert found["process_open_fds", ""] > 3
    eventually(lambda: metrics(operated)["support_chat_links", ""] == 0)


def test_no_metric_and_no_line_of_json_names_anybody(operated: Served, client_of: Clients) -> None:
    client = client_of(operated)
    identity = {"userId": "SECRET-ada", "token": operated.token("SECRET-ada")}
    client.begin(identity=identity)
    conversation = client.say("SECRET-text")["conversationId"]
    client.get(f"/conversations/{conversation}/messages").raise_for_status()
    said = ask(operated, "/metrics")[1] + operated.log.read_text()
    for secret in ("SECRET", conversation, client.session, "127.0.0.1"):
        assert secret not in said


def test_a_line_of_json_for_each_request_with_the_id_of_its_answer(
    operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    answer = client.get("/conversations", limit=0)
    with client.gateway() as link:
        frame(link)
    opened, refused, _, linked = lines(operated)
    assert opened["event"] == refused["event"] == linked["event"] == "request"
    assert (opened["method"], opened["path"], opened["status"]) == (
        "POST",
        "/sessions/anonymous",
        200,
    )
    assert refused["status"] == 422
    assert refused["request_id"] == answer.json()["error"]["requestId"]
    assert (linked["path"], linked["status"]) == ("/realtime", 101)
    assert opened["level"] == "info"
    assert opened["ms"] > 0


def test_a_record_of_somebody_else_is_a_line_of_json_with_its_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord(
            "else", logging.ERROR, __file__, 1, "it %s", ("failed",), sys.exc_info()
        )
    [line] = JSONLines().format(record).splitlines()
    said = json.loads(line)
    assert (said["level"], said["logger"], said["message"]) == ("error", "else", "it failed")
    assert said["traceback"].endswith("ValueError: two\nlines")


@pytest.mark.parametrize("address", ["127.0.0.1", "9100", ":9100", "127.0.0.1:http"])
def test_an_address_of_the_status_is_host_and_port(address: str, tmp_path: Path) -> None:
    status, complaint = refused_to_begin(tmp_path, f"--status={address}")
    assert status == 2
    assert f"--status {address} is no address; write it as 127.0.0.1:9100." in complaint


def test_a_status_address_in_use_is_named(tmp_path: Path, shared: Served) -> None:
    status, complaint = refused_to_begin(tmp_path, f"--status=127.0.0.1:{shared.port}")
    assert status == 2
    assert "Address already in use; choose another --status" in complaint


def refused_to_begin(folder: Path, *options: str) -> tuple[int, str]:
    program = "from support_chat_adapters.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "serve", "--port=0", f"--db={folder / 'chat.db'}"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, " ".join(done.stderr.split())


# those who are turned away


def test_of_many_who_are_turned_away_the_log_tells_once_and_then_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    counts = Counts(lambda: now)
    for _ in range(1000):
        counts.turn_away("slow_head")
        counts.turn_away("slow_reader")
        now += 0.01
        counts.look_around()
    assert [record.getMessage() for record in caplog.records] == [
        "turned away 1 that did not say what they want (slow_head)",
        "turned away 1 that did not take what they were sent (slow_reader)",
    ]
    now = 61.0
    counts.look_around()
    assert [record.getMessage() for record in caplog.records[2:]] == [
        "turned away 999 that did not say what they want (slow_head)",
        "turned away 999 that did not take what they were sent (slow_reader)",
    ]
    now = 200.0
    counts.look_around()
    counts.turn_away("slow_head")
    assert caplog.records[-1].getMessage().startswith("turned away 1 that")
    assert len(caplog.records) == 5


# how it ends


def test_told_to_end_it_is_unready_at_once_and_answers_what_is_under_way(
    operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    body = b'{"message": "the last words", "clientMessageId": "last"}'
    with raw_peer(operated) as slow:
        slow.say(
            f"POST {BASE}/conversations HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {client.session}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            body=body[:10],
        )
        eventually(lambda: metrics(operated)["support_chat_connections", ""] >= 3)
        os.kill(operated.pid, signal.SIGTERM)
        eventually(lambda: ask(operated, "/readyz") == (503, "the server is stopping\n"))
        assert ask(operated, "/healthz")[0] == 200
        refused = client.post("/sessions/anonymous", client.opening())
        assert problem(refused) == (503, "rate_limited", "restarting")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        with client_of(operated).gateway(token="x") as late:
            code, seconds = closed_with(late)
            assert code == 1012
            assert float(seconds) >= 0
        slow.send(body[10:])
        assert b"the last words" in slow.read()
    assert operated.ended(_LEAVES_WITHIN) == 0
    with operated.backend() as stored:
        [conversation] = stored.agent.conversations()
        assert conversation.messages == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_its_links_and_polls_are_each_told_another_time_to_be_back(
    how: signal.Signals, operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    poller = client_of(operated)
    cursor = poller.begin()["cursor"]
    with ExitStack() as stack:
        links = [stack.enter_context(client.gateway()) for _ in range(8)]
        for link in links:
            frame(link)
        pool = stack.enter_context(ThreadPoolExecutor())
        poll = pool.submit(lambda: poller.get("/realtime", cursor=cursor, wait=25))
        time.sleep(0.5)  # it is waiting by then; if it is not, it is refused all the same
        os.kill(operated.pid, how)
        told = [closed_with(link) for link in links]
        refused = poll.result(PATIENCE)
    assert problem(refused) == (503, "rate_limited", "restarting")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert {code for code, _ in told} == {1012}
    seconds = [float(reason) for _, reason in told]
    assert all(0 <= each <= 60 for each in seconds)
    assert len(set(seconds)) > 1, "eight of them, in tenths of a second"
    assert operated.ended(_LEAVES_WITHIN) == 0


def test_the_more_there_are_the_longer_they_are_kept_away_and_no_two_hundred_come_in_a_second() -> (
    None
):
    for clients, longest in ((0, 1.0), (50, 1.0), (1000, 10.0), (100_000, 60.0)):
        condition = Condition(dice=lambda: 1.0)
        condition.drain(clients)
        assert condition.stay_away() == longest
    condition = Condition()
    condition.drain(1000)
    came = [condition.stay_away() for _ in range(1000)]
    assert max(sum(1 for each in came if s <= each < s + 1) for s in range(10)) < 200


def test_who_does_not_take_leave_does_not_hold_up_the_end(
    operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    with raw_peer(operated) as mute, raw_peer(operated) as silent:
        mute.upgrade(f"session_token={client.realtime_token}")
        mute.read_until(b"\r\n\r\n")
        silent.send(b"POST")
        os.kill(operated.pid, signal.SIGTERM)
        assert operated.ended(_LEAVES_WITHIN) == 0


# its database


def test_a_database_that_was_deleted_ends_it_with_a_word_and_status_1(
    operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    operated.db.rename(operated.db.with_name("elsewhere.db"))
    assert operated.ended(_LEAVES_WITHIN) == 1
    said = operated.log.read_text()
    assert "was deleted or replaced while it was served" in said
    assert "put the right file there and start again" in said


def test_a_database_that_was_replaced_is_not_the_one_that_is_served(tmp_path: Path) -> None:
    file = tmp_path / "chat.db"
    file.touch()
    condition = Condition(file)
    condition.look_around()
    assert condition.trouble is None
    file.write_text("the same file, changed")
    condition.look_around()
    assert condition.trouble is None
    file.rename(tmp_path / "other")
    file.touch()
    condition.look_around()
    assert condition.trouble == "the database's file is gone"


def test_a_full_disk_is_told_and_refused_with_a_time_to_come_back_and_passes(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, STATUS) as backend:
        client = client_of(backend)
        client.begin()
        room = backend.db.with_name("chat.db-wal").stat().st_size + 40_000
        resource.prlimit(backend.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        refused = None
        for _ in range(30):
            answer = client.post(
                "/conversations", {"message": "x" * 16_000, "clientMessageId": os.urandom(4).hex()}
            )
            if answer.status_code != 200:
                refused = answer
                break
        assert refused is not None
        assert problem(refused) == (503, "rate_limited", "busy")
        assert refused.headers["retry-after"] == "2"
        status, said = ask(backend, "/readyz")
        assert status == 503
        assert said.startswith("the database answers: ")
        assert client.get("/conversations").status_code == 200, "reading goes on"
        assert backend.log.read_text().count("the database answers: ") == 1

        most = resource.RLIM_INFINITY
        resource.prlimit(backend.pid, resource.RLIMIT_FSIZE, (most, most))
        client.say("there is room again")
        assert ask(backend, "/readyz") == (200, "ready\n")
        assert "the database works again" in backend.log.read_text()


def test_files_that_others_may_open_are_told(tmp_path: Path) -> None:
    with served(tmp_path) as backend:
        backend.stop()
        assert "chmod" not in backend.log.read_text()
        backend.db.chmod(0o644)
        Path(f"{backend.db}.key").chmod(0o640)
        backend.start()
        said = backend.log.read_text()
    assert f"others on this machine may open {backend.db}, " in said
    assert f"{backend.db}.key; chmod 600 keeps them out" in said


def test_a_lock_of_another_program_is_no_trouble_of_the_server(
    operated: Served, client_of: Clients
) -> None:
    client = client_of(operated)
    client.begin()
    with closing(sqlite3.connect(operated.db)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.5)
        other.execute("ROLLBACK")
    assert client.get("/conversations").status_code == 200
    assert ask(operated, "/readyz") == (200, "ready\n")


# what is kept


def test_it_prunes_what_has_not_dialled_for_its_age(tmp_path: Path, client_of: Clients) -> None:
    with served(tmp_path, "--log=json", "--prune-sessions=1e-9", "--prune-visitors=0") as backend:
        client = client_of(backend)
        client.begin()
        client.say("hello")
        backend.restart()  # it prunes when it begins
        eventually(lambda: any(line.get("event") == "pruned" for line in lines(backend)))
        [pruned] = [line for line in lines(backend) if line.get("event") == "pruned"]
        assert (pruned["sessions"], pruned["visitors"]) == (1, 0)
        answer = client.get("/conversations")
        assert problem(answer) == (403, "auth_required", "session_unknown")
        client.begin()
        assert len(client.get("/conversations").json()["conversations"]) == 1
