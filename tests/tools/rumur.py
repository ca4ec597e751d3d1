"""Rumur, where it is installed."""

from __future__ import annotations

import pytest

from support_chat_adapters.murphi.rumur import INSTALL, missing

needs_rumur = pytest.mark.skipif(missing() is not None, reason=f"needs Rumur: {INSTALL}")
"""For tests that run it; says how to install it where it is missing."""
