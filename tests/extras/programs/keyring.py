"""KeyringStorage on a real Secret Service, which GNOME's keyring provides."""

from __future__ import annotations

from support_chat.testing import check_storage
from support_chat_adapters.storage import KeyringStorage

print(check_storage(KeyringStorage))
