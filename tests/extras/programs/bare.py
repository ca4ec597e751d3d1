"""Nothing but the distribution: what needs an extra asks for it by the line that installs it; the
rest works.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from support_chat.testing import check_storage
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.storage import (
    FileStorage,
    KeyringStorage,
    MappingStorage,
    MemoryStorage,
    RedisStorage,
    SQLiteStorage,
)
from support_chat_adapters.tokens import HTTPTokenProvider
from support_chat_adapters.wire_faults import FaultProxy


def transport() -> object:
    from support_chat_adapters.transport import WidgetAPITransport

    return WidgetAPITransport("http://localhost")


ASKED_FOR: list[tuple[str, Callable[[], object]]] = [
    ("file", FileStorage),
    ("redis", lambda: RedisStorage("redis://localhost")),
    ("keyring", KeyringStorage),
    ("http", lambda: HTTPTokenProvider("http://localhost/token")),
    ("widget-api", transport),
    ("backend", lambda: sign_identity_token("ada", "s" * 32, workspace_id="w", widget_id="w")),
]
COMMANDS = [
    ("serve", ["serve"]),
    ("chat", ["chat", "--url", "http://localhost"]),
    ("demo", ["demo"]),
    ("backend", ["token", "--user", "ada"]),
]

for extra, make in ASKED_FOR:
    said = ""
    try:
        make()
    except ModuleNotFoundError as missing:
        said = str(missing)
    assert f'pip install "support-chat[{extra}]"' in said, (extra, said)
for extra, command in COMMANDS:
    done = subprocess.run(
        [f"{os.environ['BIN']}/support-chat", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done
    assert f'pip install "support-chat[{extra}]"' in done.stderr, done
check_storage(MemoryStorage)
check_storage(lambda: SQLiteStorage("visitor.db"))
check_storage(lambda: FileStorage("visitor.json"))
with FaultProxy("http://127.0.0.1:1") as proxy:
    assert proxy.applied() == ()
values: dict[str, str] = {}
print(check_storage(lambda: MappingStorage(values)))
