"""A gateway and a server that is not as it should be: what it refuses at the start, what it says of
one that is gone, and that it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import http_get
from balancer import Balancer, balancing
from postgres_server import PostgresServer, binaries, free_port
from served import Served, served
from served_arrangement import UNLIMITED
from support_chat.errors import InvalidInputError
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.postgres import PostgresStore, ear
from support_chat_adapters.backend.postgres.schema import VERSION
from support_chat_adapters.backend.store import as_it_is
from support_chat_adapters.cli import main
