"""`python -m support_chat` is the program `support-chat`."""

import runpy

runpy.run_module("support_chat_adapters.cli", run_name="__main__", alter_sys=True)
