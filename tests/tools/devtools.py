"""A headless Chromium, driven by its DevTools protocol: pages are opened, looked at, typed and
clicked into as a person does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from websockets.sync.client import ClientConnection, connect

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
INSTALL: Final = "apt-get install chromium"
_LIMIT: Final = 120.0
"""Seconds that the browser has for anything."""
_KEYS: Final = {
    "Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""), "/": (191, "/"),
}  # fmt: skip


@contextmanager
def chromium() -> Generator[Browser]:
    """A browser of its own, with a profile that is thrown away."""
    assert CHROMIUM is not None, INSTALL
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # as root there is no sandbox; what is opened is ours
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
        process = subprocess.Popen(
            [
                CHROMIUM, *options, *quiet, "--remote-debugging-port=0",
                f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )  # fmt: skip
        try:
            port, path = _address(Path(profile) / "DevToolsActivePort", process)
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as line:
                browser = Browser(line)
                yield browser
                browser.send("Browser.close")
            process.wait(_LIMIT)
        finally:
            process.kill()
            process.wait()


def _address(file: Path, process: subprocess.Popen[bytes]) -> list[str]:
    until = time.monotonic() + _LIMIT
    while time.monotonic() < until:
        assert process.poll() is None, f"Chromium ended with status {process.returncode}."
        # the second line is written after the first
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return lines
        time.sleep(0.02)
    raise AssertionError("Chromium does not say where it listens.")


class Browser:
    """A browser that runs, and its pages."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._sent = 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._sent += 1
        command: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        self._line.send(json.dumps(command))
        while True:
            told = self.receive()
            if told.get("id") == self._sent:
                assert "error" not in told, f"{method}: {told['error']}"
                return cast("dict[str, Any]", told["result"])

    def receive(self) -> dict[str, Any]:
        """What the browser says next; events are kept."""
        told = cast("dict[str, Any]", json.loads(self._line.recv(_LIMIT)))
        if "method" in told:
            self.events.append(told)
        return told

    def page(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A page of a browser that nobody has used."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        return Page(self, attached["sessionId"], context, width, height, dark)


class Page:
    """One page."""

    def __init__(
        self, browser: Browser, session: str, context: str, width: int, height: int, dark: bool
    ) -> None:
        self._browser, self._session, self._context = browser, session, context
        self._forgiven = ""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command to this page."""
        return self._browser.send(method, self._session, **parameters)

    def close(self) -> None:
        """Ends the page and what it stored."""
        self._browser.send("Target.disposeBrowserContext", browserContextId=self._context)

    def events(self, method: str) -> list[dict[str, Any]]:
        """What the page has told by this name."""
        return [
            event["params"]
            for event in self._browser.events
            if event["method"] == method and event.get("sessionId") == self._session
        ]

    @property
    def complaints(self) -> list[str]:
        """Exceptions, and what stands in its console as an error."""
        thrown = [e["exceptionDetails"] for e in self.events("Runtime.exceptionThrown")]
        logged = [e["entry"] for e in self.events("Log.entryAdded")]
        told = [
            *(each.get("exception", {}).get("description", each["text"]) for each in thrown),
            *(each["text"] for each in logged if each["level"] == "error"),
        ]
        return [each for each in told if not self._forgiven or self._forgiven not in each]

    @property
    def asked(self) -> list[str]:
        """Every address that was asked for, and was not refused by the page's own policy."""
        failed = self.events("Network.loadingFailed")
        refused = {e["requestId"] for e in failed if e.get("blockedReason") == "csp"}
        sent = self.events("Network.requestWillBeSent")
        return [e["request"]["url"] for e in sent if e["requestId"] not in refused]

    def forgive(self, words: str) -> None:
        """What is complained of in these words was meant."""
        assert any(words in each for each in self.complaints), self.complaints
        self._forgiven = words

    def open(self, url: str) -> None:
        """Opens an address and waits until it is loaded."""
        before = len(self.events("Page.loadEventFired"))
        came = self.send("Page.navigate", url=url)
        assert not came.get("errorText"), came
        until = time.monotonic() + _LIMIT
        # only a fragment is another: nothing is loaded
        while came.get("loaderId") and len(self.events("Page.loadEventFired")) == before:
            assert time.monotonic() < until, f"{url} is not loaded."
            self._browser.receive()

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript; a promise is awaited."""
        came = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in came, came["exceptionDetails"]
        return came["result"].get("value")

    def wait(self, expression: str) -> None:
        """Waits until an expression is true."""
        until = time.monotonic() + _LIMIT
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < until, f"{expression} does not come to be true."
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return cast("str", self.evaluate(f"document.querySelector({selector!r}).innerText"))

    def click(self, selector: str) -> None:
        """Clicks into the middle of the element, which must be the one that is hit there."""
        at = self.evaluate(f"""(() => {{
            const found = document.querySelector({selector!r});
            found.scrollIntoView({{ block: "center", inline: "center" }});
            const {{ left, top, width, height }} = found.getBoundingClientRect();
            const [x, y] = [left + width / 2, top + height / 2];
            const hit = document.elementFromPoint(x, y);
            return found.contains(hit) || hit?.contains(found) ? [x, y] : [];
        }})()""")
        assert at, f"Nobody can click {selector}: something else is there."
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, **where)

    def press(self, *keys: str) -> None:
        """Presses and releases these keys, one after the other."""
        for key in keys:
            code, text = _KEYS.get(key, (0, key))
            told = {"key": key, "windowsVirtualKeyCode": code}
            kind = "keyDown" if text else "rawKeyDown"
            self.send(
                "Input.dispatchKeyEvent", type=kind, **told, **({"text": text} if text else {})
            )
            self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def write(self, text: str) -> None:
        """Types a text into what has the focus."""
        self.send("Input.insertText", text=text)

    def choose_file(self, selector: str, file: Path) -> None:
        """Chooses a file in an input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen, or the whole page, as a PNG."""
        import base64

        came = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(came["data"])
