"""Pure decisions: (what was observed, settings, now) -> the status to write, the actions to take, the events to emit.

One package per kind, and `shared` for what both kinds use; the kinds do not import each other. The time is an argument.
No I/O and no asyncio, so every state of a resource is a unit test.
"""
