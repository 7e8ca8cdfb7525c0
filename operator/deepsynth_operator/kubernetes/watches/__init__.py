"""What the API server says has changed, and the cache of what it said: first listing, watches, their audit.

An event updates the cache and queues the resource that it belongs to. Nothing here decides anything about it.
"""
