"""A reference backend in one process: what the loopback talks to, and what identity tokens are
signed and verified with.
"""

from .agent import Agent
from .connections import Connection
from .conversations import Page
from .core import Backend
from .faults import Faults
from .identity_tokens import Algorithm, IdentityKey, sign_identity_token
from .inbox import Answered, Listed
from .log import Entry, Happening, Log, Operation
from .opening import Opened
from .persons import Forgotten
from .pruning import Ages, Pruned
from .records import Records
from .sqlite_store import SQLiteStore
from .store import Store, StoreBusyError, Transaction
from .widget import WidgetRules

__all__ = [
    "Agent",
    "Ages",
    "Algorithm",
    "Answered",
    "Backend",
    "Connection",
    "Entry",
    "Faults",
    "Forgotten",
    "Happening",
    "IdentityKey",
    "Listed",
    "Log",
    "Opened",
    "Operation",
    "Page",
    "Pruned",
    "Records",
    "SQLiteStore",
    "Store",
    "StoreBusyError",
    "Transaction",
    "WidgetRules",
    "sign_identity_token",
]
