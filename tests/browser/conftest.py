"""One browser for all, and pages of charts in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest

from devtools import CHROMIUM, INSTALL, Browser, Page, chromium
from support_chat import CHART, Chart
from support_chat_adapters.diagrams import html

Explore: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser."""
    if CHROMIUM is None:
        pytest.skip(f"needs Chromium: {INSTALL}")
    with chromium() as one:
        yield one


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pages are written to."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def explore(browser: Browser, folder: Path) -> Iterator[Explore]:
    """Opens the page of a chart from its file, with the network off; whatever it complains of
    fails the test, and so does anything that it asks of anybody.
    """
    pages: list[Page] = []

    def explored(
        chart: Chart = CHART, fragment: str = "", *, scripted: bool = True, **how: Any
    ) -> Page:
        file = folder / f"{quote(chart.name, safe='')}.html"
        file.write_text(html(chart), "utf-8")
        page = browser.page(**how)
        pages.append(page)
        offline = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        page.send("Network.emulateNetworkConditions", offline=True, **offline)
        page.send("Emulation.setScriptExecutionDisabled", value=not scripted)
        page.open(f"{file.as_uri()}{fragment}")
        return page

    yield explored
    for page in pages:
        assert page.complaints == []
        assert {url.split("#")[0].split("/")[0] for url in page.asked} <= {"file:"}
        page.close()
