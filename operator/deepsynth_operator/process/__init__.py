"""One operator process: put together, observed (health, metrics, logs), and taken apart in order.

The top layer: it may import everything in this package, and only `__main__` imports it.
"""
