"""Completion in a shell: kinds, and the names of the resources that exist. argcomplete does the rest."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from typing import Any, Final

from deepsynth.place import Choice, open_resources
from deepsynth.verbs.names import KIND_NAMES, format_short_name
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import ClientError

NAMES: Final = "words"
"""The argument of every verb that names resources."""
PROGRAMS: Final = ("deepsynth", "kubectl-deepsynth")


def build_choice(chosen: Namespace) -> Choice:
    """Where the resources are, by the options of a command line."""
    return Choice(chosen.local, str(chosen.runs or ""), chosen.context, chosen.namespace)


def complete_names(*, parsed_args: Namespace, **_: Any) -> list[str]:
    """NAME after a kind, else KIND/NAME and NAME. Nothing where the resources cannot be listed."""
    try:
        resources = open_resources(build_choice(parsed_args))
        words: list[str] = parsed_args.words or []
        kinds = [KIND_NAMES[words[0]]] if words and words[0] in KIND_NAMES else list(KINDS)
        found = [item for kind in kinds for item in resources.list_all(kind)]
    except (ClientError, OSError):
        return []
    names = [item["metadata"]["name"] for item in found]
    if words:
        return names
    return [*names, *map(format_short_name, found), *(kind.plural for kind in KINDS.values())]


def complete(parser: ArgumentParser) -> None:
    """Answer the shell, if it asks, and exit."""
    import argcomplete

    for action in _list_actions(parser):
        if action.dest == NAMES:
            action.completer = complete_names
    argcomplete.autocomplete(parser)


def _list_actions(parser: ArgumentParser) -> Iterator[Any]:
    """Of the command and its verbs."""
    for action in parser._actions:  # noqa: SLF001  # as argcomplete does; argparse has no other way
        yield action
        for verb in (action.choices or {}).values() if isinstance(action, _SubParsersAction) else ():
            yield from _list_actions(verb)


def build_script(shell: str) -> str:
    """The script that a shell sources."""
    from argcomplete.shell_integration import shellcode

    return str(shellcode(list(PROGRAMS), shell=shell))
