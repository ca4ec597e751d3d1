"""What one who does nothing, or too much, can hold of a server: little, and not for long. Whoever
keeps it waiting is cut, the log tells of them once, and everybody else is served meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from pathlib import Path

import attrs
import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from raw_peer import RawPeer, raw_peer
from served import Served, served
from support_chat.errors import InvalidInputError
from support_chat.values import Visitor
from support_chat_adapters.backend.server.limits import ConnectionLimits
from support_chat_adapters.cli.serve import HELD
from widget_client import BASE, PATIENCE, WidgetClient, closed_with, frame, problem

Clients = Callable[[Served], WidgetClient]
_UNLIMITED = ("--opens-per-minute=0", "--requests-per-minute=0", "--status=127.0.0.1:0")
_CUT_WITHIN = 10.0
"""Seconds in which one is cut whom the server waits a second for, on a machine however busy."""


_HASTY = (*_UNLIMITED, *(f"--{what}-seconds=1" for what in ("head", "body", "send")))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """A backend that waits a second for anybody."""
    with served(tmp_path_factory.mktemp("hasty"), *_HASTY) as backend:
        yield backend


@pytest.fixture
def away(hasty: Served) -> Callable[[str], int]:
    """How many clients the hasty backend has turned away for this, since the test began."""
    before = {why: turned_away(hasty, why) for why in ("slow_head", "slow_body", "slow_reader")}
    return lambda why: turned_away(hasty, why) - before[why]


def turned_away(backend: Served, why: str) -> int:
    """How many clients the server says that it has cut or refused for this."""
    metrics = httpx2.get(f"{backend.status_url}/metrics", trust_env=False).text
    name = f'support_chat_turned_away_total{{why="{why}"}} '
    return sum(
        int(float(line.removeprefix(name)))
        for line in metrics.splitlines()
        if line.startswith(name)
    )


def told(backend: Served, why: str) -> int:
    """In how many lines the log tells of them."""
    return backend.log.read_text().count(f"({why})")


def silent(_: RawPeer) -> None:
    """Says nothing at all."""


def half_a_head(peer: RawPeer) -> None:
    peer.send(f"GET {BASE}/config HTTP/1.1\r\nHost: x\r\nX-".encode())


def a_line_and_no_more(peer: RawPeer) -> None:
    peer.send(b"POST / HTTP/1.1\r\n")


def half_a_second_head(peer: RawPeer) -> None:
    peer.say(f"GET {BASE}/config HTTP/1.1", "Host: x")
    peer.read_until(b"}}")
    peer.send(b"GET / HTTP/1.1\r\n")


def half_an_upgrade(peer: RawPeer) -> None:
    peer.send(f"GET {BASE}/realtime HTTP/1.1\r\nUpgrade: websocket\r\n".encode())


def a_body_that_does_not_come(peer: RawPeer) -> None:
    peer.say(f"POST {BASE}/sessions/anonymous HTTP/1.1", "Host: x", "Content-Length: 100")


def half_a_body(peer: RawPeer) -> None:
    a_body_that_does_not_come(peer)
    peer.send(b'{"workspaceId":')


def a_chunk_and_no_more(peer: RawPeer) -> None:
    peer.say(
        f"POST {BASE}/sessions/anonymous HTTP/1.1",
        "Host: x",
        "Transfer-Encoding: chunked",
        body=b"3\r\nabc\r\n",
    )


def a_body_that_nobody_wants(peer: RawPeer) -> None:
    """It is answered before its body has come."""
    peer.say(f"POST {BASE}/nowhere HTTP/1.1", "Host: x", "Content-Length: 100")
    peer.read_until(b"}}")


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (silent, "slow_head"),
        (half_a_head, "slow_head"),
        (a_line_and_no_more, "slow_head"),
        (half_a_second_head, "slow_head"),
        (half_an_upgrade, "slow_head"),
        (a_body_that_does_not_come, "slow_body"),
        (half_a_body, "slow_body"),
        (a_chunk_and_no_more, "slow_body"),
        (a_body_that_nobody_wants, "slow_head"),
    ],
)
def test_a_request_that_does_not_come_is_not_waited_for(
    does: Callable[[RawPeer], None], why: str, hasty: Served, away: Callable[[str], int]
) -> None:
    with raw_peer(hasty) as peer:
        does(peer)
        assert peer.is_cut_within(_CUT_WITHIN)
    assert away(why) == 1


@pytest.mark.parametrize("does", [half_a_head, half_a_body, a_body_that_nobody_wants])
def test_a_request_that_comes_drop_by_drop_is_not_waited_for_either(
    does: Callable[[RawPeer], None], hasty: Served
) -> None:
    with raw_peer(hasty) as peer:
        does(peer)
        assert peer.sends_in_vain(b"x", every=0.05, within=_CUT_WITHIN)


def test_who_is_slow_within_the_time_is_answered_and_waits_as_long_as_they_like_for_news(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, *_UNLIMITED, "--head-seconds=4", "--body-seconds=4") as backend:
        client = client_of(backend)
        cursor = client.begin()["cursor"]
        with raw_peer(backend) as peer, client.gateway() as link:
            head = f"GET {BASE}/conversations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            for part in (head, f"{client.session}\r\n", "Connection: close\r\n", "\r\n"):
                peer.send(part.encode())
                time.sleep(0.3)
            assert peer.read().startswith(b"HTTP/1.1 200 ")
            assert frame(link)["type"] == "hello"
            # longer than anything may take, but neither of these has anything to say
            assert client.get("/realtime", cursor=cursor, wait=6).status_code == 200
            backend.reply(Visitor(visitor_of(client)), "still here?")
            assert frame(link)["message"]["text"] == "still here?"


def visitor_of(client: WidgetClient) -> str:
    """The public id of a client's visitor."""
    answer = client.post("/sessions/anonymous", client.opening())
    return str(answer.raise_for_status().json()["visitorId"])


def test_a_link_that_never_reads_is_cut_though_others_of_the_same_person_read_on(
    hasty: Served, client_of: Clients, away: Callable[[str], int]
) -> None:
    client = client_of(hasty)
    client.begin()
    conversation = client.say("help")["conversationId"]
    with client.gateway() as reader, raw_peer(hasty) as mute:
        assert frame(reader)["type"] == "hello"
        mute.upgrade(f"session_token={client.fresh_realtime_token()}")
        mute.read_until(b"\r\n\r\n")
        for number in range(60):
            hasty.reply(conversation, f"{number:02}" + "x" * 16_000)
            assert frame(reader)["message"]["text"][:2] == f"{number:02}"
        assert mute.is_cut_within(_CUT_WITHIN)
        hasty.reply(conversation, "and on")
        assert frame(reader)["message"]["text"] == "and on"
    assert away("slow_reader") == 1


def test_pings_of_one_who_never_reads_are_not_answered_for_ever(
    hasty: Served, client_of: Clients, away: Callable[[str], int]
) -> None:
    client = client_of(hasty)
    client.begin()
    with raw_peer(hasty) as mute:
        mute.upgrade(f"session_token={client.realtime_token}")
        mute.read_until(b"\r\n\r\n")
        ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
        assert mute.sends_in_vain(ping * 100, every=0, within=_CUT_WITHIN)
    assert away("slow_reader") == 1


def test_an_answer_that_is_not_read_is_let_go(
    hasty: Served, client_of: Clients, away: Callable[[str], int]
) -> None:
    client = client_of(hasty)
    client.begin()
    conversation = client.say("help")["conversationId"]
    hasty.reply(conversation, *("x" * 16_000 for _ in range(100)))
    with raw_peer(hasty) as mute:
        mute.say(
            f"GET {BASE}/conversations/{conversation}/messages?limit=200 HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {client.session}",
            "Connection: close",
        )
        mute.read_until(b"\r\n\r\n")
        assert mute.is_cut_within(_CUT_WITHIN)
    assert away("slow_reader") == 1


def test_what_waits_for_all_together_has_a_limit_and_whoever_reads_is_spared(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, *_UNLIMITED, "--buffered=3000000") as backend, ExitStack() as stack:
        client = client_of(backend)
        client.begin()
        conversation = client.say("help")["conversationId"]
        backend.reply(conversation, *("x" * 16_000 for _ in range(100)))
        mute = [stack.enter_context(raw_peer(backend)) for _ in range(4)]
        for peer in mute:
            peer.say(
                f"GET {BASE}/conversations/{conversation}/messages?limit=200 HTTP/1.1",
                "Host: x",
                f"Authorization: Bearer {client.session}",
            )
        deadline = time.monotonic() + _CUT_WITHIN
        while not turned_away(backend, "too_much_buffered"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert any(peer.is_cut_within(_CUT_WITHIN) for peer in mute)
        page = client.get(f"/conversations/{conversation}/messages", limit=200)
        assert len(page.raise_for_status().json()["messages"]) > 100 - 4


def test_bodies_that_are_not_complete_count_for_what_all_together_may_hold(tmp_path: Path) -> None:
    with served(tmp_path, *_UNLIMITED, "--buffered=1000000") as backend, ExitStack() as stack:
        for _ in range(20):
            peer = stack.enter_context(raw_peer(backend))
            peer.say(
                f"POST {BASE}/sessions/anonymous HTTP/1.1",
                "Host: x",
                "Content-Length: 120000",
                body=b"x" * 100_000,
            )
        deadline = time.monotonic() + _CUT_WITHIN
        while not turned_away(backend, "too_much_buffered"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert turned_away(backend, "too_much_buffered") < 20


@pytest.mark.parametrize(
    "option", ["--links-per-session=2", "--links-per-address=2"], ids=["session", "address"]
)
def test_links_have_a_limit_that_a_waiting_poll_counts_for_and_a_link_that_ended_does_not(
    option: str, tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, *_UNLIMITED, option) as backend:
        client = client_of(backend)
        client.begin()
        with client.gateway() as first:
            assert frame(first)["type"] == "hello"
            with client.gateway() as second:
                assert frame(second)["type"] == "hello"
                with client.gateway() as third:
                    code, seconds = closed_with(third)
                    assert (code, float(seconds)) == (4429, 15.0)
                refused = client.get("/realtime")
                assert problem(refused)[:2] == (429, "rate_limited")
                assert refused.headers["retry-after"] == "15"
            deadline = time.monotonic() + PATIENCE
            while client.get("/realtime").status_code != 200:
                assert time.monotonic() < deadline
            with client.gateway() as again:
                assert frame(again)["type"] == "hello"
        assert turned_away(backend, "too_many_links") >= 2
        assert told(backend, "too_many_links") == 1


def test_another_session_is_not_the_one_that_holds_too_many_links(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, *_UNLIMITED, "--links-per-session=1") as backend:
        one, another = client_of(backend), client_of(backend)
        one.begin()
        another.begin()
        with one.gateway() as first, another.gateway() as second:
            assert frame(first)["type"] == frame(second)["type"] == "hello"


@pytest.mark.parametrize("option", ["--connections=3", "--connections-per-address=3"])
def test_connections_have_a_limit_and_the_operator_is_always_answered(
    option: str, tmp_path: Path
) -> None:
    with served(tmp_path, *_UNLIMITED, option) as backend, ExitStack() as stack:
        for _ in range(3):
            peer = stack.enter_context(raw_peer(backend))
            peer.say(f"GET {BASE}/config HTTP/1.1", "Host: x")
            peer.read_until(b"}}")
        with raw_peer(backend) as fourth:
            assert b" 503 Service Unavailable\r\nretry-after: 15\r\n" in fourth.read()
        assert turned_away(backend, "too_many_connections") == 1
        stack.close()
        deadline = time.monotonic() + PATIENCE
        while httpx2.get(f"{backend.url}{BASE}/config", trust_env=False).status_code == 503:
            assert time.monotonic() < deadline


def test_frames_that_nobody_asked_for_have_a_limit_and_a_few_of_them_do_no_harm(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, *_UNLIMITED, "--frames-per-minute=10") as backend:
        client = client_of(backend)
        client.begin()
        with client.gateway() as link:
            assert frame(link)["type"] == "hello"
            for _ in range(10):
                link.send("are you there?")
            conversation = client.say("help")["conversationId"]
            backend.reply(conversation, "yes")
            assert frame(link)["message"]["text"] == "yes"
            with suppress(ConnectionClosed):  # the server does not read all of them
                for _ in range(1_000):
                    link.send("are you there?")
            assert closed_with(link)[0] == 4429
        assert turned_away(backend, "too_many_frames") == 1


def test_many_who_are_cut_are_one_line_in_the_log(tmp_path: Path) -> None:
    with served(tmp_path, *_HASTY) as backend, ExitStack() as stack:
        peers = [stack.enter_context(raw_peer(backend)) for _ in range(50)]
        assert all(peer.is_cut_within(_CUT_WITHIN) for peer in peers)
        assert turned_away(backend, "slow_head") == 50
        assert told(backend, "slow_head") == 1
        said = backend.log.read_text()
    assert "turned away 1 that did not say what they want (slow_head)" in said


def test_what_is_no_http_is_no_line_in_the_log(hasty: Served) -> None:
    for _ in range(20):
        with raw_peer(hasty) as peer:
            peer.send(b"\x16\x03\x01 this is TLS, for instance\r\n\r\n")
            assert b" 400 " in peer.read()
    assert "Invalid HTTP" not in hasty.log.read_text()


def test_json_however_deep_is_refused(client: WidgetClient) -> None:
    client.begin()
    headers = {"authorization": f"Bearer {client.session}"}
    for nested in (
        b"[" * 60_000,
        b'{"changes":' * 10_000,
        b'{"changes":{"context.x":' + b"[" * 60_000,
    ):
        answer = client.http.post(f"{BASE}/events", content=nested, headers=headers)
        assert problem(answer)[:2] == (422, "validation_error")


def test_invented_credentials_are_counted_by_address_and_a_real_one_goes_on(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, "--requests-per-minute=50", "--status=127.0.0.1:0") as backend:
        real, inventor = client_of(backend), client_of(backend)
        real.begin()
        real.get("/conversations").raise_for_status()
        answers: list[int] = []
        for number in range(20):
            inventor.session = f"session-{number}.{'x' * 32}"
            answers.append(inventor.get("/conversations").status_code)
        assert answers[:5] == [403] * 5
        assert answers[-10:] == [429] * 10
        for nonsense in ("", "x", "session-1"):
            inventor.session = nonsense
            assert inventor.get("/conversations").status_code == 429
        with inventor.gateway(token="invented") as link:
            assert closed_with(link)[0] == 4429
        assert real.get("/conversations").status_code == 200
        assert turned_away(backend, "invented_credentials") >= 10
        assert told(backend, "invented_credentials") == 1


def test_every_limit_has_an_option_whose_default_is_the_one_of_the_class() -> None:
    limits = ConnectionLimits()
    named = {option.removeprefix("--").replace("-", "_"): default for option, _, default, _ in HELD}
    assert named == attrs.asdict(limits)
    for wrong in ({"connections": -1}, {"head_seconds": 0.0}, {"buffered": -5}):
        with pytest.raises(InvalidInputError, match="must be"):
            attrs.evolve(limits, **wrong)
