"""Every public name, and the module that is its home; `__init__.py` reads this file."""

from .chart.machine import (
    Compiled as Compiled,
    Input as Input,
    State as State,
)
from .chart.model import (
    Chart as Chart,
    Transition as Transition,
)
from .conversation import OpenConversation as OpenConversation
from .errors import (
    AuthRefusedError as AuthRefusedError,
    BackendRejectedError as BackendRejectedError,
    CallTimeoutError as CallTimeoutError,
    ChartError as ChartError,
    EventsLostError as EventsLostError,
    IdentityConflictError as IdentityConflictError,
    InvalidInputError as InvalidInputError,
    MessageWithdrawnError as MessageWithdrawnError,
    NetworkError as NetworkError,
    NotABackendError as NotABackendError,
    NotBootedError as NotBootedError,
    OutboxFullError as OutboxFullError,
    RateLimitedError as RateLimitedError,
    SessionDestroyedError as SessionDestroyedError,
    SessionEndedError as SessionEndedError,
    StorageError as StorageError,
    SupportChatError as SupportChatError,
    TokenProviderError as TokenProviderError,
    TokenRefusedError as TokenRefusedError,
    VisitorEndedError as VisitorEndedError,
    WrongThreadError as WrongThreadError,
)
from .lifecycle.chart import CHART as CHART
from .lifecycle.events import (
    AnyEvent as AnyEvent,
    AttemptFailed as AttemptFailed,
    AuthChanged as AuthChanged,
    AuthExpired as AuthExpired,
    ConnectionChanged as ConnectionChanged,
    ErrorOccurred as ErrorOccurred,
    MessageFailed as MessageFailed,
    MessageQueued as MessageQueued,
    MessageReceived as MessageReceived,
    MessageSent as MessageSent,
    MessagesRead as MessagesRead,
    PhaseChanged as PhaseChanged,
    Ready as Ready,
    UnreadChanged as UnreadChanged,
)
from .lifecycle.names import (
    Effect as Effect,
    Fact as Fact,
    Phase as Phase,
    Register as Register,
    Trigger as Trigger,
)
from .lifecycle.timeline import (
    Gap as Gap,
    Item as Item,
)
from .pool import SessionPool as SessionPool
from .ports import (
    ReadAnswer as ReadAnswer,
    ReasonedTokenProvider as ReasonedTokenProvider,
    Storage as Storage,
    TokenProvider as TokenProvider,
    TokenReason as TokenReason,
    Transport as Transport,
)
from .runtime.calls import Call as Call
from .runtime.listeners import (
    EventStream as EventStream,
    Subscription as Subscription,
)
from .session import SupportChat as SupportChat
from .settings import Settings as Settings
from .values import (
    UNSET as UNSET,
    About as About,
    Agent as Agent,
    Company as Company,
    CompanyDict as CompanyDict,
    Conversation as Conversation,
    IdentifyResult as IdentifyResult,
    Identity as Identity,
    Message as Message,
    SignedIn as SignedIn,
    User as User,
    UserDict as UserDict,
    Visitor as Visitor,
)
