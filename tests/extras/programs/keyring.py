"""KeyringStorage on a real Secret Service, which GNOME's keyring provides."""

from __future__ import annotations

from support_chat.testing import check_storage
from support_chat_adapters.storage import KeyringStorage

# A call of a Secret Service takes tens of milliseconds, and the suite has many threads wait for one
# lock.
print(check_storage(lambda: KeyringStorage(timeout=15.0)))
