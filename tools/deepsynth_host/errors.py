"""The error that every tool's command prints."""


class ToolError(Exception):
    """A tool cannot do what it was asked to do; the message says what to do about it."""
