"""What the other tools need of the machine they run on: `cache` for what is slow to make, and Debian `packages`.

It has no command and knows neither images nor clusters. A function belongs here when two tools use it.
"""
