"""What an operator asks, on an address of its own: is it alive, may clients be sent to it, and what
has it done, as Prometheus reads it.

None of it names a person, a session or an address. Still it is nothing for the public: let only
your own machines reach it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

import attrs
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .condition import Condition
from .counts import BOUNDS, Counts
from .lines import Lines


def status_app(counts: Counts, condition: Condition, lines: Lines) -> Starlette:
    """`/healthz`, `/readyz` and `/metrics` as an ASGI application."""
    registry = CollectorRegistry()
    registry.register(_Collector(counts, condition, lines))
    ProcessCollector(registry=registry)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        trouble = condition.trouble
        return PlainTextResponse(f"{trouble or 'ready'}\n", 503 if trouble else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


@attrs.frozen(eq=False)
class _Collector:
    """The numbers in the words of Prometheus, when it asks."""

    counts: Counts
    condition: Condition
    lines: Lines

    def collect(self) -> Iterator[Metric]:
        counts, lines = self.counts, self.lines
        yield InfoMetricFamily(
            "support_chat",
            "Which version runs.",
            {"version": version("support-chat"), "python": platform.python_version()},
        )
        answered = CounterMetricFamily(
            "support_chat_requests", "Requests answered.", labels=["endpoint", "status"]
        )
        for (endpoint, status), count in counts.answered.items():
            answered.add_metric([endpoint, str(status)], count)
        yield answered
        took = HistogramMetricFamily(
            "support_chat_request_seconds",
            "How long requests took, but polls, which wait on purpose.",
            labels=["endpoint"],
        )
        for endpoint, durations in counts.took.items():
            took.add_metric([endpoint], _cumulated(durations.classes), durations.total)
        yield took
        closed = CounterMetricFamily(
            "support_chat_links_closed", "WebSockets closed by the gateway.", labels=["code"]
        )
        for code, count in counts.closed.items():
            closed.add_metric([str(int(code))], count)
        yield closed
        away = CounterMetricFamily(
            "support_chat_turned_away",
            "Clients cut or refused since they held too much.",
            labels=["why"],
        )
        for why, count in counts.turned_away.items():
            away.add_metric([why], count)
        yield away
        for name, what, value in (
            ("links", "WebSockets that are open.", counts.links),
            ("connections", "TCP connections that are open.", len(lines)),
            (
                "buffered_bytes",
                "Bytes that wait for clients, or for the rest of a body.",
                lines.buffered,
            ),
            ("ready", "Whether clients may be sent here.", int(self.condition.trouble is None)),
        ):
            yield GaugeMetricFamily(f"support_chat_{name}", what, value)


def _cumulated(classes: list[int]) -> list[tuple[str, float]]:
    """The counts of classes as Prometheus wants them: each holds those below it."""
    total, found = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), classes, strict=True):
        total += count
        found.append((bound, total))
    return found
