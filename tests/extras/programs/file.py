"""FileStorage in the user's own data folder, which platformdirs finds."""

from __future__ import annotations

import os
from pathlib import Path

from support_chat.testing import check_storage
from support_chat_adapters.storage import FileStorage

report = check_storage(FileStorage)
assert list(Path(os.environ["XDG_DATA_HOME"]).rglob("*.json")), (
    "it lies where the user's data belongs"
)
print(report)
