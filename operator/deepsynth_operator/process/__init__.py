"""One operator process: its settings, startup and shutdown, and what it reports: health, metrics, logs, notifications.

This is the top layer. It may import everything else in the operator; only `__main__` imports it. It decides nothing
about resources. Its only requests of its own go to the administrator's webhook.
"""
