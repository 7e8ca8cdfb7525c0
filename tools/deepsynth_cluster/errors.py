"""The error of everything that concerns a development cluster."""


class ClusterError(Exception):
    """The cluster cannot be made or used as asked; the message says what to do."""
