"""The error of everything that concerns a development cluster."""

from deepsynth_host.errors import ToolError


class ClusterError(ToolError):
    """The cluster cannot be made or used as asked; the message says what to do."""
