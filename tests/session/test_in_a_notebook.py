"""What a notebook shows of a session and of its chart."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

from async_tests import in_virtual_time
from support_chat import CHART, SupportChat, User
from support_chat.testing import RecordingStorage, RecordingTransport
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

SECRET = "a-secret-of-the-widget-that-is-nobodys-business"
ANN = "<b>ann</b> & co"


def shown_by(thing: object, form: str) -> str:
    """What a notebook is given of a thing, as it asks for it."""
    text = getattr(thing, f"_repr_{form}_")()
    assert isinstance(text, str)
    return text


@in_virtual_time
async def test_a_session_shows_its_phase_and_for_whom_it_is_and_nothing_secret() -> None:
    user = User(ANN, email="ann@example.com", name="Ann Other", traits={"role": "admin"})
    token = sign_identity_token(user, SECRET, workspace_id="ws", widget_id="help")
    keys = [IdentityKey("HS256", SECRET)]
    with Backend(workspace_id="ws", widget_id="help", keys=keys) as backend:
        async with SupportChat(
            workspace_id="ws",
            widget_id="help",
            transport=LoopbackTransport(backend),
            storage=MemoryStorage(),
        ) as chat:
            assert "<b>ready</b> · nobody" in shown_by(chat, "html")
            await chat.boot()
            assert f"<b>anonymous</b> · visitor {chat.identity}" in shown_by(chat, "html")
            await chat.identify(user=user, token_provider=lambda: token)
            shown = shown_by(chat, "html")
    assert "<b>authenticated</b> · user &lt;b&gt;ann&lt;/b&gt; &amp; co" in shown
    for secret in (token, SECRET, "ann@example.com", "Ann Other", "admin"):
        assert secret not in shown
    ElementTree.fromstring(shown)


@in_virtual_time
async def test_a_session_that_nobody_has_used_shows_itself_and_stays_so() -> None:
    chat = SupportChat(
        workspace_id="ws",
        widget_id="help",
        transport=RecordingTransport(),
        storage=RecordingStorage(),
    )
    assert "not_initialized" in shown_by(chat, "html")
    await chat.destroy()


def test_a_chart_is_one_line_and_shows_its_picture() -> None:
    assert repr(CHART) == (
        f"<Chart 'support_chat': 10 phases, {len(CHART.transitions)} transitions, "
        "begins in 'not_initialized'>"
    )
    picture = ElementTree.fromstring(shown_by(CHART, "svg"))
    words = {"".join(element.itertext()) for element in picture.iter()}
    assert {*CHART.phases} <= words


def test_no_adapter_is_imported_before_a_chart_is_asked_for_its_picture() -> None:
    program = (
        "import sys; from support_chat import CHART; repr(CHART)\n"
        "assert not any(name.startswith('support_chat_adapters') for name in sys.modules)\n"
        "CHART._repr_svg_()\n"
        "assert 'support_chat_adapters.diagrams' in sys.modules\n"
        "assert 'asyncio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
