"""Whom a request comes from: nobody is believed about it but proxies that are named, and these no
further than they can know.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from served import Served, served
from support_chat.errors import InvalidInputError
from support_chat_adapters.backend.server.addresses import UNKNOWN, Proxies
from support_chat_adapters.cli import main
from widget_client import BASE, WidgetClient

Clients = Callable[[Served], WidgetClient]
NGINX, BALANCER, CLIENT, OTHER = "10.0.0.1", "10.1.2.3", "192.0.2.7", "198.51.100.9"


def request_from(peer: str | None, *forwarded: str, **headers: str) -> HTTPConnection:
    """A request whose TCP connection comes from `peer`, with these lines of X-Forwarded-For."""
    lines = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    more = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    client = None if peer is None else (peer, 50000)
    return HTTPConnection({"type": "http", "client": client, "headers": [*lines, *more]})


@pytest.mark.parametrize(
    ("named", "peer", "forwarded", "caller"),
    [
        # nobody is named: nobody is believed
        ("", CLIENT, [], CLIENT),
        ("", CLIENT, [OTHER], CLIENT),
        ("", "127.0.0.1", [OTHER], "127.0.0.1"),
        # somebody else is named
        (NGINX, CLIENT, [OTHER], CLIENT),
        (NGINX, OTHER, [NGINX], OTHER),
        # the named one, which appends whom it was asked by
        (NGINX, NGINX, [CLIENT], CLIENT),
        (NGINX, NGINX, [f"{OTHER}, {CLIENT}"], CLIENT),
        (NGINX, NGINX, [OTHER, CLIENT], CLIENT),
        (NGINX, NGINX, [f"{NGINX}, {OTHER}, {CLIENT}"], CLIENT),
        (NGINX, NGINX, [f"garbage, {CLIENT}"], CLIENT),
        # a chain of named ones: the rightmost that is none of them
        (f"{NGINX},{BALANCER}", NGINX, [f"{CLIENT}, {BALANCER}"], CLIENT),
        (f"{NGINX},{BALANCER}", NGINX, [f"{OTHER}, {CLIENT}, {BALANCER}"], CLIENT),
        (f"{NGINX}, {BALANCER}", NGINX, [f"{OTHER}, {CLIENT}", BALANCER], CLIENT),
        ("10.0.0.0/8", NGINX, [f"{CLIENT},{BALANCER},10.9.9.9"], CLIENT),
        (NGINX, NGINX, [f"{CLIENT}, {BALANCER}"], BALANCER),
        # a proxy that says nothing, or no address, is itself who asks
        (NGINX, NGINX, [], NGINX),
        (NGINX, NGINX, [""], NGINX),
        (NGINX, NGINX, ["unknown"], NGINX),
        (NGINX, NGINX, [f"{CLIENT}, unknown"], NGINX),
        (NGINX, NGINX, [f"{CLIENT}, "], NGINX),
        (NGINX, NGINX, ["\xe9" * 5000], NGINX),
        (f"{NGINX},{BALANCER}", NGINX, [f"unknown, {BALANCER}"], BALANCER),
        (f"{NGINX},{BALANCER}", NGINX, [BALANCER], BALANCER),
        # ports, brackets, addresses of two kinds
        (NGINX, NGINX, [f"{CLIENT}:4711"], CLIENT),
        (NGINX, f"::ffff:{NGINX}", [CLIENT], CLIENT),
        (NGINX, NGINX, [f"::ffff:{CLIENT}"], CLIENT),
        (NGINX, NGINX, ["[2001:db8:1:2:3:4:5:6]:80"], "2001:db8:1:2::/64"),
        ("2001:db8::/32", "2001:db8::1", ["2001:db9:1:2:ffff::6"], "2001:db9:1:2::/64"),
        # of IPv6 the last half is the caller's own choice
        ("", "2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("", "fe80::1%eth0", [], "fe80::/64"),
        # no address at all: a Unix socket
        ("", None, [], UNKNOWN),
        (NGINX, None, [CLIENT], UNKNOWN),
    ],
)
def test_who_asks_is_the_rightmost_that_is_no_named_proxy(
    named: str, peer: str | None, forwarded: list[str], caller: str
) -> None:
    proxies = Proxies.named(filter(None, named.split(",")))
    assert proxies.caller(request_from(peer, *forwarded)) == caller


@pytest.mark.parametrize("name", ["nginx", "10.0.0.1/8", "10.0.0", "*", "10.0.0.0/33"])
def test_a_proxy_is_named_by_its_address(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidInputError, match="name each proxy by its address"):
        Proxies.named([name])
    assert main(["serve", f"--db={tmp_path / 'chat.db'}", "--port=0", f"--behind={name}"]) == 2
    assert "name each proxy by its address" in capsys.readouterr().err


def test_an_id_of_a_request_is_taken_over_from_a_named_proxy_if_it_is_one() -> None:
    proxies, brought = Proxies.named([NGINX]), "4bf92f3577b34da6-a3ce929d0e0e4736"
    assert proxies.request_id(request_from(NGINX, x_request_id=brought)) == brought
    for other in (
        request_from(CLIENT, x_request_id=brought),
        request_from(None, x_request_id=brought),
        request_from(NGINX),
        *(
            request_from(NGINX, x_request_id=wrong)
            for wrong in ("", "short", "x" * 65, "spaces in it", "quotes'in'it", "äääääääääää")
        ),
    ):
        made = proxies.request_id(other)
        assert made != brought
        assert len(made) == 32


def test_the_limit_of_sessions_is_kept_for_each_client_behind_a_named_proxy_and_no_other(
    tmp_path: Path, client_of: Clients
) -> None:
    for behind, statuses in (([], [200, 200, 429, 429]), (["--behind=127.0.0.1"], [200] * 4)):
        folder = tmp_path / str(len(behind))
        folder.mkdir()
        with served(folder, "--opens-per-minute=2", *behind) as backend:
            client = client_of(backend)

            def opened(forwarded: str, client: WidgetClient = client) -> int:
                headers = {"x-forwarded-for": forwarded}
                return client.post(
                    "/sessions/anonymous", client.opening(), headers=headers
                ).status_code

            assert [opened(f"192.0.2.{number}") for number in range(4)] == statuses
            # what a client has written itself stands left of what the proxy appends
            answers = [opened(f"203.0.113.{number}, {CLIENT}") for number in range(4)]
            assert answers == ([200, 200, 429, 429] if behind else [429] * 4)


def test_the_id_of_a_request_is_in_its_answer_its_error_and_its_line_in_the_log(
    tmp_path: Path, client_of: Clients
) -> None:
    brought = "brought-along-4711"
    for behind, taken_over in (([], False), (["--behind=127.0.0.0/8"], True)):
        folder = tmp_path / str(len(behind))
        folder.mkdir()
        with served(folder, *behind) as backend:
            client = client_of(backend)
            for path in ("/conversations", "/nowhere"):
                answer = client.http.get(f"{BASE}{path}", headers={"x-request-id": brought})
                given = answer.headers["x-request-id"]
                assert (given == brought) is taken_over
                assert answer.json()["error"]["requestId"] == given
                assert f" {given}\n" in backend.log.read_text()
