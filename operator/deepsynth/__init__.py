"""The `deepsynth` command, and the Client of notebooks: one set of verbs for a cluster and for this machine.

    command_line/      the arguments of each verb
    place.py           where the resources are: a namespace of a cluster, or a folder; the only file that asks
    verbs/             what each command does, on the interface of deepsynth_client
    notebook.py        Client

How resources run belongs to the operator or to deepsynth_local; how they are read and written to deepsynth_client.
"""

from typing import Any

__all__ = ["Client"]


def run_command() -> int:
    """The entry point of the command. Ctrl-C ends it quietly also while its modules are being imported."""
    try:
        from deepsynth.__main__ import main  # slow to import

        return main()
    except KeyboardInterrupt:
        return 130  # CommandExit.INTERRUPTED, which may not be imported yet


def __getattr__(name: str) -> Any:
    """Client on its first use: the command does not need what notebooks show."""
    if name == "Client":
        from deepsynth.notebook import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
