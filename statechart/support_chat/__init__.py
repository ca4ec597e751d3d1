"""The lifecycle of a support-chat session: a declarative statechart, and an asyncio session that runs it.

Frontends need `SupportChat` and the values, events and errors here; adapters need `support_chat.ports`; whoever reads, draws or
checks the lifecycle needs `CHART` and `support_chat.chart`.
"""

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
from .ports import Storage, TokenProvider, Transport
from .session.calls import Call
from .session.listeners import EventStream, Subscription
from .session.session import SupportChat
from .settings import Settings
from .values import (
    UNSET,
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
