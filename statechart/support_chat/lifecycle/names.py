"""The names of the shipped chart: its phases, triggers, facts, registers, effects, slots, timers
and lanes.

Only names are here; what a fact means is in `facts`, what an effect declares in `effects`, what
happens in `chart`.
"""

from __future__ import annotations

from enum import StrEnum, auto, unique


@unique
class Phase(StrEnum):
    """Where a session stands; `chat.state` is one of these."""

    NOT_INITIALIZED = auto()
    LOADING = auto()
    READY = auto()
    BOOTING = auto()
    ANONYMOUS = auto()
    AUTHENTICATED = auto()
    RECONNECTING = auto()
    DISCONNECTED = auto()
    SHUTDOWN = auto()
    DESTROYED = auto()


@unique
class Trigger(StrEnum):
    """What can happen to a session."""

    # calls of the user
    LOAD = auto()
    BOOT = auto()
    IDENTIFY = auto()
    BECOME = auto()
    UPDATE = auto()
    SEND = auto()
    USE = auto()
    SHUTDOWN = auto()
    DESTROY = auto()
    ABANDON_BOOT = auto()
    ABANDON_IDENTIFY = auto()
    WITHDRAW = auto()
    # hints of the platform
    GO_ONLINE = auto()
    GO_OFFLINE = auto()
    # outcomes of what the adapters were asked
    LOADED = auto()
    LOAD_FAILED = auto()
    VISITOR_READ = auto()
    VISITOR_FAILED = auto()
    VISITOR_CHECKED = auto()
    TOKEN_ARRIVED = auto()
    TOKEN_REFUSED = auto()
    TOKEN_FAILED = auto()
    LINK_UP = auto()
    DIAL_REFUSED = auto()
    DIAL_REJECTED = auto()
    DIAL_ASTRAY = auto()
    VISITOR_ENDED = auto()
    DIAL_FAILED = auto()
    IDENTIFIED = auto()
    IDENTIFY_REFUSED = auto()
    IDENTIFY_FAILED = auto()
    UPDATED = auto()
    UPDATE_UNAUTHORISED = auto()
    UPDATE_REFUSED = auto()
    UPDATE_FAILED = auto()
    RENEWED = auto()
    RENEW_REFUSED = auto()
    RENEW_FAILED = auto()
    SENT = auto()
    SEND_UNAUTHORISED = auto()
    SEND_REFUSED = auto()
    SEND_FAILED = auto()
    REPLIED = auto()
    CLEARED = auto()
    CLEAR_FAILED = auto()
    PARTED = auto()
    RELEASED = auto()
    # events of the link
    MESSAGE_ARRIVED = auto()
    READ_MARKED = auto()
    OWNER_CHANGED = auto()
    TOKEN_EXPIRED = auto()
    SESSION_REVOKED = auto()
    LINK_LOST = auto()
    # expiries of timers
    RETRY_DUE = auto()
    GIVE_UP = auto()
    SILENCE_DUE = auto()
    RENEW_DUE = auto()
    UPDATE_DUE = auto()
    OUTBOX_DUE = auto()
    DESTROY_TIMEOUT = auto()
    # internal
    PROCEED = auto()
    FLUSH = auto()
    CLEAN = auto()


@unique
class Fact(StrEnum):
    """The booleans that guards are made of."""

    # stored: the calls
    BOOTED = auto()
    IDENTIFYING = auto()
    UNRESOLVED = auto()
    # stored: the link and the token
    RETRYING = auto()
    FETCHING = auto()
    TOKEN_WANTED = auto()
    TOKEN_FRESH = auto()
    RENEWING = auto()
    SENDING = auto()
    # stored: the storage and the end
    WRITING = auto()
    OWED = auto()
    OWED_FULL = auto()
    CLEARING = auto()
    CLEARING_FULL = auto()
    PARTING = auto()
    RELEASING = auto()
    RELEASED = auto()
    # carried by the trigger
    FULL = auto()
    DAMAGED = auto()
    BEYOND = auto()
    SILENT = auto()
    AT_ONCE = auto()
    CROWDED = auto()
    OWN = auto()
    DISOWNED = auto()
    REPEATABLE = auto()
    OUTDATED = auto()
    # derived from the context
    LATE = auto()
    PROVIDER = auto()
    TARGET_PROVIDER = auto()
    PENDING = auto()
    QUEUED = auto()
    # from the registers
    NAMED = auto()
    SIGNED_IN = auto()
    TARGETED = auto()
    SAME_USER = auto()
    SAME_TARGET = auto()


@unique
class Register(StrEnum):
    """Who is who."""

    USER = auto()
    """The user whom the session is for, or will be for once the boot that waits is done; nobody for
    a visitor.
    """
    TARGET = auto()
    """The user whom an identify that is not settled or not resolved makes of the visitor."""
    NAMED = auto()
    """The user whom the trigger names: the call's, or the one the backend answered as."""


@unique
class Slot(StrEnum):
    """What a call can wait for."""

    LOAD = auto()
    BOOT = auto()
    IDENTIFY = auto()
    SHUTDOWN = auto()
    CLEAR = auto()
    DESTROY = auto()


@unique
class Timer(StrEnum):
    """The timers of a session; at most one of each kind runs (property S10)."""

    RETRY = auto()
    GIVE_UP = auto()
    SILENCE = auto()
    RENEW = auto()
    UPDATE = auto()
    OUTBOX = auto()
    DESTROY = auto()


@unique
class Lane(StrEnum):
    """Where effects follow each other: only the last one asked on a lane is current, an earlier
    one's outcome is late.
    """

    LOAD = auto()
    VISITOR = auto()
    CHECK = auto()
    TOKEN = auto()
    DIAL = auto()
    LINK = auto()
    IDENTIFY = auto()
    UPDATE = auto()
    SEND = auto()
    RENEW = auto()
    CLEAR = auto()
    PART = auto()
    RELEASE = auto()


@unique
class Effect(StrEnum):
    """What a transition asks of the world."""

    # adapters
    CHECK_ADAPTERS = auto()
    READ_VISITOR = auto()
    CHECK_VISITOR = auto()
    END_VISITOR = auto()
    FETCH_TOKEN = auto()
    FETCH_TARGET_TOKEN = auto()
    DIAL = auto()
    SEND_IDENTIFY = auto()
    SEND_UPDATE = auto()
    SEND_TOKEN = auto()
    SEND_MESSAGES = auto()
    USE_LINK = auto()
    CLEAR_USER = auto()
    CLEAR_ALL = auto()
    PART = auto()
    RELEASE = auto()
    # calls
    JOIN_LOAD = auto()
    JOIN_BOOT = auto()
    JOIN_IDENTIFY = auto()
    JOIN_SHUTDOWN = auto()
    JOIN_CLEAR = auto()
    JOIN_DESTROY = auto()
    SETTLE_LOAD = auto()
    SETTLE_BOOT = auto()
    SETTLE_IDENTIFY = auto()
    SETTLE_SHUTDOWN = auto()
    SETTLE_CLEAR = auto()
    SETTLE_DESTROY = auto()
    FAIL_LOAD = auto()
    FAIL_BOOT = auto()
    FAIL_IDENTIFY = auto()
    FAIL_SHUTDOWN = auto()
    FAIL_CLEAR = auto()
    DONE = auto()
    REFUSE = auto()
    ANSWER = auto()
    QUEUE = auto()
    ANSWER_MESSAGES = auto()
    DETACH = auto()
    SETTLE_DETACHED = auto()
    # timers
    ARM_DIAL = auto()
    ARM_RETRY = auto()
    ARM_PROBE = auto()
    ARM_GIVE_UP = auto()
    ARM_SILENCE = auto()
    ARM_RENEW = auto()
    ARM_UPDATE = auto()
    ARM_OUTBOX = auto()
    ARM_DESTROY = auto()
    DISARM_GIVE_UP = auto()
    DISARM_LINK = auto()
    DISARM = auto()
    # the context
    ADOPT = auto()
    ADOPT_TARGET = auto()
    RECORD = auto()
    HOLD = auto()
    KEEP_VISITOR = auto()
    KEEP_TOKEN = auto()
    KEEP_LINK = auto()
    ACCEPT_TOKEN = auto()
    SPEND_TOKEN = auto()
    DROP_TOKEN = auto()
    COUNT_FAILURE = auto()
    BECOME_USER = auto()
    UNCLAIM = auto()
    DROP_HELD = auto()
    FORGET_TARGET = auto()
    ACKNOWLEDGE = auto()
    RESTORE = auto()
    DROP_SENT = auto()
    DROP_UPDATES = auto()
    KEEP_SENT = auto()
    KEEP_REFUSED = auto()
    KEEP_DISOWNED = auto()
    KEEP_UNANSWERED = auto()
    EXPIRE_MESSAGES = auto()
    WITHDRAW_MESSAGE = auto()
    DROP_MESSAGES = auto()
    FORGET = auto()
    # what is given up
    ABANDON_LOAD = auto()
    ABANDON_TOKEN = auto()
    ABANDON_REST = auto()
    ABANDON_PARTINGS = auto()
    CUT = auto()
    DISPOSE = auto()
    # what listeners hear
    TELL_READY = auto()
    TELL_CONNECTED = auto()
    TELL_LOST = auto()
    TELL_EXPIRED = auto()
    TELL_ERROR = auto()
    TELL_MESSAGE = auto()
    TELL_READ = auto()
    # internal triggers
    CALL_BOOT = auto()
    CALL_IDENTIFY = auto()
    CALL_BECOME = auto()
    PROCEED = auto()
    FLUSH = auto()
    SAY_EXPIRED = auto()
    CLEAN = auto()
