"""`python -m support_chat_adapters.cli` is the program `support-chat`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
