"""Every public name, and the module that is its home; `__init__.py` reads this file."""

from .chart.machine import (
    Compiled as Compiled,
)
from .chart.machine import (
    Input as Input,
)
from .chart.machine import (
    State as State,
)
from .chart.model import (
    Chart as Chart,
)
from .chart.model import (
    Transition as Transition,
)
from .errors import (
    AuthRefusedError as AuthRefusedError,
)
from .errors import (
    BackendRejectedError as BackendRejectedError,
)
from .errors import (
    CallTimeoutError as CallTimeoutError,
)
from .errors import (
    ChartError as ChartError,
)
from .errors import (
    EventsLostError as EventsLostError,
)
from .errors import (
    IdentityConflictError as IdentityConflictError,
)
from .errors import (
    InvalidInputError as InvalidInputError,
)
from .errors import (
    NetworkError as NetworkError,
)
from .errors import (
    NotABackendError as NotABackendError,
)
from .errors import (
    NotBootedError as NotBootedError,
)
from .errors import (
    RateLimitedError as RateLimitedError,
)
from .errors import (
    SessionDestroyedError as SessionDestroyedError,
)
from .errors import (
    SessionEndedError as SessionEndedError,
)
from .errors import (
    StorageError as StorageError,
)
from .errors import (
    SupportChatError as SupportChatError,
)
from .errors import (
    TokenProviderError as TokenProviderError,
)
from .errors import (
    TokenRefusedError as TokenRefusedError,
)
from .errors import (
    WrongThreadError as WrongThreadError,
)
from .lifecycle.chart import CHART as CHART
from .lifecycle.events import (
    AnyEvent as AnyEvent,
)
from .lifecycle.events import (
    AuthChanged as AuthChanged,
)
from .lifecycle.events import (
    AuthExpired as AuthExpired,
)
from .lifecycle.events import (
    ConnectionChanged as ConnectionChanged,
)
from .lifecycle.events import (
    ErrorOccurred as ErrorOccurred,
)
from .lifecycle.events import (
    MessageFailed as MessageFailed,
)
from .lifecycle.events import (
    MessageReceived as MessageReceived,
)
from .lifecycle.events import (
    MessageSent as MessageSent,
)
from .lifecycle.events import (
    PhaseChanged as PhaseChanged,
)
from .lifecycle.events import (
    Ready as Ready,
)
from .lifecycle.events import (
    UnreadChanged as UnreadChanged,
)
from .lifecycle.names import (
    Effect as Effect,
)
from .lifecycle.names import (
    Fact as Fact,
)
from .lifecycle.names import (
    Phase as Phase,
)
from .lifecycle.names import (
    Register as Register,
)
from .lifecycle.names import (
    Trigger as Trigger,
)
from .ports import (
    ReadAnswer as ReadAnswer,
)
from .ports import (
    Storage as Storage,
)
from .ports import (
    TokenProvider as TokenProvider,
)
from .ports import (
    Transport as Transport,
)
from .runtime.calls import Call as Call
from .runtime.listeners import (
    EventStream as EventStream,
)
from .runtime.listeners import (
    Subscription as Subscription,
)
from .session import SupportChat as SupportChat
from .settings import Settings as Settings
from .values import (
    UNSET as UNSET,
)
from .values import (
    About as About,
)
from .values import (
    Company as Company,
)
from .values import (
    CompanyDict as CompanyDict,
)
from .values import (
    Conversation as Conversation,
)
from .values import (
    IdentifyResult as IdentifyResult,
)
from .values import (
    Identity as Identity,
)
from .values import (
    Message as Message,
)
from .values import (
    SignedIn as SignedIn,
)
from .values import (
    User as User,
)
from .values import (
    UserDict as UserDict,
)
from .values import (
    Visitor as Visitor,
)
