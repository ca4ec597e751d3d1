"""The lifecycle of a support-chat session: a declarative statechart, and an asyncio session that runs it.

Frontends need `SupportChat` and the values, events and errors here; adapters need `support_chat.ports`; whoever reads, draws or
checks the lifecycle needs `CHART` and `support_chat.chart`.

Names are imported when they are first used: a command line that only asks for help, or a program that needs the errors alone, does not
wait for the chart to be built.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chart.machine import Compiled, Input, State
    from .chart.model import Chart, Transition
    from .errors import (
        AuthRefusedError,
        BackendRejectedError,
        CallTimeoutError,
        ChartError,
        EventsLostError,
        IdentityConflictError,
        InvalidInputError,
        NetworkError,
        NotBootedError,
        RateLimitedError,
        SessionDestroyedError,
        SessionEndedError,
        StorageError,
        SupportChatError,
        TokenProviderError,
        TokenRefusedError,
        WrongThreadError,
    )
    from .events import (
        AnyEvent,
        AuthChanged,
        AuthExpired,
        ConnectionChanged,
        ErrorOccurred,
        MessageFailed,
        MessageReceived,
        MessageSent,
        PhaseChanged,
        Ready,
        UnreadChanged,
    )
    from .lifecycle.alphabet import Effect, Fact, Phase, Register, Trigger
    from .lifecycle.chart import CHART
    from .ports import ReadAnswer, Storage, TokenProvider, Transport
    from .session.calls import Call
    from .session.listeners import EventStream, Subscription
    from .session.session import SupportChat
    from .settings import Settings
    from .values import (
        UNSET,
        About,
        Company,
        CompanyDict,
        Conversation,
        IdentifyResult,
        Identity,
        Message,
        SignedIn,
        User,
        UserDict,
        Visitor,
    )

__all__ = [
    "CHART",
    "UNSET",
    "About",
    "AnyEvent",
    "AuthChanged",
    "AuthExpired",
    "AuthRefusedError",
    "BackendRejectedError",
    "Call",
    "CallTimeoutError",
    "Chart",
    "ChartError",
    "Company",
    "CompanyDict",
    "Compiled",
    "ConnectionChanged",
    "Conversation",
    "Effect",
    "ErrorOccurred",
    "EventStream",
    "EventsLostError",
    "Fact",
    "IdentifyResult",
    "Identity",
    "IdentityConflictError",
    "Input",
    "InvalidInputError",
    "Message",
    "MessageFailed",
    "MessageReceived",
    "MessageSent",
    "NetworkError",
    "NotBootedError",
    "Phase",
    "PhaseChanged",
    "RateLimitedError",
    "ReadAnswer",
    "Ready",
    "Register",
    "SessionDestroyedError",
    "SessionEndedError",
    "Settings",
    "SignedIn",
    "State",
    "Storage",
    "StorageError",
    "Subscription",
    "SupportChat",
    "SupportChatError",
    "TokenProvider",
    "TokenProviderError",
    "TokenRefusedError",
    "Transition",
    "Transport",
    "Trigger",
    "UnreadChanged",
    "User",
    "UserDict",
    "Visitor",
    "WrongThreadError",
]

_HOMES = {
    "chart.machine": (
        "Compiled",
        "Input",
        "State",
    ),
    "chart.model": (
        "Chart",
        "Transition",
    ),
    "errors": (
        "AuthRefusedError",
        "BackendRejectedError",
        "CallTimeoutError",
        "ChartError",
        "EventsLostError",
        "IdentityConflictError",
        "InvalidInputError",
        "NetworkError",
        "NotBootedError",
        "RateLimitedError",
        "SessionDestroyedError",
        "SessionEndedError",
        "StorageError",
        "SupportChatError",
        "TokenProviderError",
        "TokenRefusedError",
        "WrongThreadError",
    ),
    "events": (
        "AnyEvent",
        "AuthChanged",
        "AuthExpired",
        "ConnectionChanged",
        "ErrorOccurred",
        "MessageFailed",
        "MessageReceived",
        "MessageSent",
        "PhaseChanged",
        "Ready",
        "UnreadChanged",
    ),
    "lifecycle.alphabet": (
        "Effect",
        "Fact",
        "Phase",
        "Register",
        "Trigger",
    ),
    "lifecycle.chart": ("CHART",),
    "ports": (
        "ReadAnswer",
        "Storage",
        "TokenProvider",
        "Transport",
    ),
    "session.calls": ("Call",),
    "session.listeners": (
        "EventStream",
        "Subscription",
    ),
    "session.session": ("SupportChat",),
    "settings": ("Settings",),
    "values": (
        "About",
        "Company",
        "CompanyDict",
        "Conversation",
        "IdentifyResult",
        "Identity",
        "Message",
        "SignedIn",
        "UNSET",
        "User",
        "UserDict",
        "Visitor",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
