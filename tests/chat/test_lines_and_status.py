"""Events, as lines, as a status and as JSON: tables, for all are pure."""

from __future__ import annotations

import re

import attrs
import pytest

from support_chat import (
    AnyEvent,
    AttemptFailed,
    AuthChanged,
    AuthExpired,
    CallTimeoutError,
    ConnectionChanged,
    ErrorOccurred,
    IdentityConflictError,
    Message,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    MessageSent,
    NetworkError,
    NotABackendError,
    NotBootedError,
    Phase,
    PhaseChanged,
    Ready,
    SignedIn,
    UnreadChanged,
    Visitor,
)
from support_chat.lifecycle.events import to_json
from support_chat_adapters.chat.events import Done, Event, Failed, Sending, Warned, as_json
from support_chat_adapters.chat.lines import Line, fragments, lines_of
from support_chat_adapters.chat.status import KINDS, Status, after, bar, lasted
from support_chat_adapters.ui.terminal import clean, hanging

P = Phase
AT = 1_000.0
LIVE = Status("http://127.0.0.1:8787", P.ANONYMOUS, identity=Visitor("visitor-1"))
GONE = attrs.evolve(LIVE, phase=P.RECONNECTING, since=AT - 6, lost_at=AT - 6)
BACK = attrs.evolve(LIVE, away=(AT - 6, AT))
REFUSED = NetworkError("here:1 cannot be reached; check base_url.")
REFUSED.__cause__ = ConnectionRefusedError()
BOOT_GIVEN_UP = CallTimeoutError("boot() took longer; raise Settings.boot_timeout.")
BOOT_GIVEN_UP.__cause__ = REFUSED
UNTRUSTED = NotABackendError(
    "here:1 is not trusted. Pass tls= for an authority of your own, or check base_url."
)


def phase(previous: Phase, current: Phase, reason: str) -> PhaseChanged:
    return PhaseChanged(previous, current, reason, created_at=AT)


def message(
    author: str, text: str, *, at: float = AT, client_message_id: str | None = None
) -> Message:
    return Message("message-1", "conversation-1", author, text, at, client_message_id)


LINES: tuple[tuple[Event, Status, tuple[tuple[str, str, str], ...]], ...] = (
    (phase(P.NOT_INITIALIZED, P.LOADING, ""), LIVE, ()),
    (phase(P.LOADING, P.READY, ""), LIVE, ()),
    (
        phase(P.READY, P.BOOTING, ""),
        LIVE,
        (("·", "booting: looking for http://127.0.0.1:8787", "quiet"),),
    ),
    (phase(P.BOOTING, P.ANONYMOUS, ""), LIVE, (("·", "anonymous: live", "good"),)),
    (
        phase(P.ANONYMOUS, P.AUTHENTICATED, "identified"),
        LIVE,
        (("·", "authenticated: identified", "good"),),
    ),
    (
        phase(P.ANONYMOUS, P.RECONNECTING, "link_lost"),
        LIVE,
        (("·", "reconnecting: the connection is lost; trying again", "warning"),),
    ),
    (
        phase(P.ANONYMOUS, P.RECONNECTING, "reply_lost"),
        LIVE,
        (("·", "reconnecting: reply lost; trying again", "warning"),),
    ),
    (
        phase(P.RECONNECTING, P.ANONYMOUS, "connected"),
        GONE,
        (("·", "anonymous: back after 6 s", "good"),),
    ),
    (
        phase(P.RECONNECTING, P.DISCONNECTED, "attempts_spent"),
        GONE,
        (
            (
                "·",
                "disconnected: given up for now, looking every half minute; /boot tries at once",
                "warning",
            ),
        ),
    ),
    (
        phase(P.ANONYMOUS, P.SHUTDOWN, "shutdown"),
        LIVE,
        (("·", "shutdown: the session has ended; /boot begins another, /quit leaves", "warning"),),
    ),
    (
        phase(P.AUTHENTICATED, P.SHUTDOWN, "auth_refused"),
        LIVE,
        (("·", "shutdown: the backend accepts this user no longer", "warning"),),
    ),
    (phase(P.SHUTDOWN, P.DESTROYED, "destroy"), LIVE, ()),
    (AuthChanged(SignedIn("ada")), LIVE, (("·", "signed in as ada", "quiet"),)),
    (AuthChanged(Visitor("visitor-2")), LIVE, (("·", "you are visitor-2", "quiet"),)),
    (AuthChanged(None), LIVE, ()),
    (Ready(Visitor("visitor-1")), LIVE, ()),
    (AuthExpired(), LIVE, (("·", "the backend asks for a fresh token", "quiet"),)),
    (ConnectionChanged(True), LIVE, ()),
    (
        ConnectionChanged(True, gap=True),
        LIVE,
        (
            (
                "!",
                "some messages were missed that cannot be replayed; /history shows them",
                "warning",
            ),
        ),
    ),
    (ErrorOccurred(NetworkError("Mend it.")), LIVE, (("!", "Mend it.", "error"),)),
    (
        ErrorOccurred(NetworkError("Mend it."), ("user.role",)),
        LIVE,
        (("!", "Mend it. (given up: user.role)", "error"),),
    ),
    (MessageReceived(message("agent", "Hello")), LIVE, (("agent", "Hello", "agent"),)),
    (
        MessageReceived(message("visitor", "from my other window")),
        LIVE,
        (("you", "from my other window", "mine"),),
    ),
    (Sending("Hello", "c1"), LIVE, (("you", "Hello", "mine"),)),
    (
        ErrorOccurred(IdentityConflictError("boot() names another: shutdown() first.")),
        LIVE,
        (("!", "/boot names another: /shutdown first.", "error"),),
    ),
    (MessageSent(message("visitor", "Hello")), LIVE, ()),
    (
        MessageFailed("c1", NetworkError("The link closed."), True),
        LIVE,
        (("!", "perhaps not sent: The link closed.", "warning"),),
    ),
    (
        MessageQueued("c1", "conversation-1"),
        GONE,
        (("·", "it is sent when the connection is back", "quiet"),),
    ),
    (MessageQueued("c1", "conversation-1"), LIVE, ()),
    (
        MessageFailed("c1", CallTimeoutError("The message could not be sent."), False),
        GONE,
        (
            (
                "!",
                "not sent: no answer from http://127.0.0.1:8787 in time; is the backend running "
                "there, is --url right?",
                "warning",
            ),
        ),
    ),
    (
        Failed("send", NotBootedError("call boot() first.")),
        LIVE,
        (("!", "not sent: there is no session now: /boot begins one.", "error"),),
    ),
    (UnreadChanged(3), LIVE, ()),
    (
        Done(
            "history", ("what was said:", message("visitor", "Hi\x07"), message("agent", "Hello"))
        ),
        BACK,
        (("·", "what was said:", "quiet"), ("you", "Hi�", "mine"), ("agent", "Hello", "agent")),
    ),
    (
        Failed("boot", CallTimeoutError("boot() took longer; raise Settings.boot_timeout.")),
        LIVE,
        (
            (
                "!",
                "no answer from http://127.0.0.1:8787 in time; is the backend running there, is "
                "--url right?",
                "error",
            ),
        ),
    ),
    (
        AttemptFailed(REFUSED, 1, 0.5),
        LIVE,
        (
            (
                "!",
                "here:1 cannot be reached; check --url. Is `support-chat serve` running there? "
                "(still trying)",
                "warning",
            ),
        ),
    ),
    (AttemptFailed(REFUSED, 2, 0.5), after(LIVE, AttemptFailed(REFUSED, 1, 0.5)), ()),
    (
        Failed("boot", BOOT_GIVEN_UP),
        LIVE,
        (
            (
                "!",
                "given up: here:1 cannot be reached; check --url. Is `support-chat serve` running "
                "there?",
                "error",
            ),
        ),
    ),
    (
        AttemptFailed(UNTRUSTED, 1, 0.5),
        LIVE,
        (
            (
                "!",
                "here:1 is not trusted. Name an authority of your own in SSL_CERT_FILE, or check "
                "--url. (still trying)",
                "warning",
            ),
        ),
    ),
    (Warned("a file was set aside"), LIVE, (("!", "a file was set aside", "warning"),)),
)


@pytest.mark.parametrize(("event", "status", "lines"), LINES)
def test_each_event_is_worth_these_lines(
    event: Event, status: Status, lines: tuple[tuple[str, str, str], ...]
) -> None:
    assert tuple((line.label, line.text, line.style) for line in lines_of(event, status)) == lines


@pytest.mark.parametrize(
    ("at", "remark"),
    [(AT - 7, ""), (AT - 6, "missed while away"), (AT - 1, "missed while away"), (AT, "")],
)
def test_a_message_written_while_the_link_was_gone_is_marked(at: float, remark: str) -> None:
    (line,) = lines_of(MessageReceived(message("agent", "Hello", at=at)), BACK)
    assert line.remark == remark


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümlauts, 日本語, 👍", "plain text, ümlauts, 日本語, 👍"),
        ("two\nlines\tand a tab", "two\nlines and a tab"),
        ("\x1b[31mred\x1b]0;title\x07", "�[31mred�]0;title�"),
        ("back\x08spaces, \r, \x9b31m and \x00", "back�spaces, �, �31m and �"),
        ("\u202egnorw\u2066", "�gnorw�"),
    ],
)
def test_no_message_steers_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown
    for event in (
        MessageReceived(message("agent", text)),
        Sending(text, "c1"),
        ErrorOccurred(NetworkError(text)),
        Done("list", (text,)),
        Failed("send", NetworkError(text)),
        Warned(text),
    ):
        assert shown in lines_of(event, LIVE)[0].text


def test_a_line_as_text_has_its_time_and_keeps_its_shape() -> None:
    line = Line(AT, "agent", "one\ntwo", "agent", "missed while away")
    text = "".join(text for _, text in fragments(line, None))
    assert re.fullmatch(r"\d\d:\d\d:\d\d  agent  one\n {17}two  \(missed while away\)", text)


@pytest.mark.parametrize("width", [10, 40, 80])
def test_a_line_is_wrapped_under_its_text_and_no_wider_than_the_terminal(width: int) -> None:
    text = "some words, then averyveryverylongwordwithoutanyspaceinit and more"
    pieces = fragments(Line(AT, "agent", text, "agent"), width)
    rows = "".join(text for _, text in pieces).splitlines()
    assert all(len(row) < max(width, 35) for row in rows)
    assert all(row.startswith(" " * 17) for row in rows[1:])
    assert re.sub(r"\s", "", "".join(row[17:] for row in rows)) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("short", ["short"]),
        ("two words that are too long", ["two words that", "are too long"]),
        ("abcdefghijklmnopqrst", ["abcdefghijklmnop", "qrst"]),
        ("a hyphen is a well-known mark", ["a hyphen is a", "well-known mark"]),
        ("a\n\nb", ["a", "", "b"]),
        ("go  on", ["go  on"]),
        ("日本語の文字は広いです", ["日本語の文字は広", "いです"]),
        ("a日本語の文字は広い", ["a日本語の文字は広", "い"]),
        ("a日本語の文字は広", ["a日本語の文字は広"]),
    ],
)
def test_text_is_broken_between_words_where_that_is_possible(text: str, rows: list[str]) -> None:
    assert hanging("> ", text, 19) == "\n  ".join(["> " + rows[0], *rows[1:]])
    assert hanging("", text, None) == text


STATUSES: tuple[tuple[Event, Status, dict[str, object]], ...] = (
    (phase(P.ANONYMOUS, P.RECONNECTING, ""), LIVE, {"phase": P.RECONNECTING, "since": AT}),
    (AuthChanged(SignedIn("ada")), attrs.evolve(LIVE, conversation="c"), {"conversation": None}),
    (ConnectionChanged(False, created_at=AT), LIVE, {"lost_at": AT}),
    (ConnectionChanged(False, created_at=AT), GONE, {}),
    (ConnectionChanged(True, created_at=AT), GONE, {"lost_at": None, "away": (AT - 6, AT)}),
    (ConnectionChanged(True, created_at=AT), LIVE, {}),
    (MessageSent(message("visitor", "x")), LIVE, {"conversation": "conversation-1"}),
    (MessageReceived(message("agent", "x")), LIVE, {"conversation": "conversation-1"}),
    (AuthExpired(), LIVE, {}),
)


@pytest.mark.parametrize(("event", "status", "changes"), STATUSES)
def test_each_event_changes_the_status(
    event: Event, status: Status, changes: dict[str, object]
) -> None:
    # a table of fields of all types
    assert after(status, event) == attrs.evolve(status, **changes)  # type: ignore[arg-type]


BARS = (
    (LIVE, 80, " anonymous   visitor-1  127.0.0.1:8787", "  /help "),
    (
        attrs.evolve(LIVE, unread=2, sending=1),
        80,
        " anonymous   visitor-1  127.0.0.1:8787  2 unread  sending 1",
        "  /help ",
    ),
    (GONE, 80, " reconnecting ⠋ 6 s   visitor-1  127.0.0.1:8787", "  /help "),
    (
        attrs.evolve(GONE, phase=P.DISCONNECTED, lost_at=AT - 125),
        50,
        " disconnected 2 min 5 s   visitor-1",
        "  /help ",
    ),
    (attrs.evolve(LIVE, unread=2, sending=1), 50, " anonymous   visitor-1  sending 1", "  /help "),
    (LIVE, 32, " anonymous   visitor-1", "  /help "),
    (LIVE, 22, " anonymous ", "  /help "),
    (LIVE, 12, " anonymous ", " "),
    (LIVE, 8, " anonymo", ""),
)


@pytest.mark.parametrize(("status", "width", "left", "right"), BARS)
def test_the_bar_shows_what_there_is_room_for_and_the_phase_always(
    status: Status, width: int, left: str, right: str
) -> None:
    text = "".join(text for _, text in bar(status, AT, width))
    assert text == left.ljust(width - len(right)) + right
    assert len(text) == width


def test_the_bar_moves_while_the_phase_moves_by_itself() -> None:
    frames = {bar(GONE, AT + step / 8, 80)[0][1] for step in range(8)}
    assert len(frames) == 8
    assert len({bar(LIVE, AT + step / 8, 80)[0][1] for step in range(8)}) == 1


def test_every_phase_has_a_look() -> None:
    assert set(KINDS) == set(Phase)
    assert {phase for phase, kind in KINDS.items() if kind == "live"} == {
        P.ANONYMOUS,
        P.AUTHENTICATED,
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3661, "61 min 1 s")],
)
def test_lengths_of_time_are_said_in_words(seconds: float, words: str) -> None:
    assert lasted(seconds) == words


DATA: tuple[tuple[Event, dict[str, object]], ...] = (
    (
        Sending("Hello", "c1", created_at=AT),
        {
            "type": "message_sending",
            "text": "Hello",
            "client_message_id": "c1",
            "created_at": AT,
        },
    ),
    (
        Done("shutdown", ("forgotten",), {"clear": True}, created_at=AT),
        {"type": "command_done", "command": "shutdown", "clear": True, "created_at": AT},
    ),
    (
        Failed("boot", NotBootedError("No."), created_at=AT),
        {
            "type": "command_failed",
            "command": "boot",
            "error": {"code": "not_booted", "message": "No."},
            "created_at": AT,
        },
    ),
    (Warned("Hm.", created_at=AT), {"type": "warning", "message": "Hm.", "created_at": AT}),
)


@pytest.mark.parametrize(("event", "data"), DATA)
def test_programs_get_the_same_as_data(event: Event, data: dict[str, object]) -> None:
    assert as_json(event) == data


def test_programs_get_the_session_s_events_as_the_library_has_them() -> None:
    event: AnyEvent = UnreadChanged(3)
    assert as_json(event) == to_json(event)
