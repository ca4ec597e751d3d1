"""The shell: an asyncio session that runs the chart. The only part of the library that knows of
event loops.
"""
