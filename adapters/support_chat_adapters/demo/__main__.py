"""`python -m support_chat_adapters.demo [--plain | --json]`."""

import sys

from . import run

sys.exit(run(plain="--plain" in sys.argv, json="--json" in sys.argv))
