"""The reference backend on the network: the Widget API over HTTP and WebSocket, for development,
tests and small installations.

`create_app` makes the Starlette application, `run` serves it with uvicorn; `support-chat serve` is
both with a command line. It is one process on one SQLite file, which a thread writes: the event
loop waits for no disk, and one machine's worth of load is what it carries.
"""
