"""RedisStorage on a real server."""

from __future__ import annotations

import os

from support_chat.testing import check_storage
from support_chat_adapters.storage import RedisStorage

print(check_storage(lambda: RedisStorage(os.environ["REDIS_URL"])))
