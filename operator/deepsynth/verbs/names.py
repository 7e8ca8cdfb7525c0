"""How a command line names resources: KIND NAME..., KIND/NAME..., or a NAME alone.

get trun,dsg            -> both kinds
get trun read-xsum      -> one run
logs trun/read-xsum     -> one run
logs read-xsum          -> the run or the generation of this name
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from deepsynth.verbs.suggestions import suggest
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import InvalidError, NotFoundError
from deepsynth_client.interface import Manifest, Resources

KIND_NAMES: Final[Mapping[str, str]] = {alias: kind.name for kind in KINDS.values() for alias in kind.aliases}
"""Names of a kind on the command line: trun, trainingrun, trainingruns, trainingruns.deepsynth.io -> TrainingRun."""
ALL_KINDS: Final = "all"


def parse_kinds(text: str) -> list[str]:
    """`trun,dsg` or `all`. Raises InvalidError."""
    if text == ALL_KINDS:
        return list(KINDS)
    for word in text.split(","):
        if word.lower() not in KIND_NAMES:
            usual = "choose trun (trainingruns), dsg (datasetgenerations) or all"
            raise InvalidError(f"unknown kind {word!r}; {suggest(word.lower(), KIND_NAMES, otherwise=usual)}")
    return [KIND_NAMES[word.lower()] for word in text.split(",")]


def parse_words(words: Sequence[str]) -> Iterator[tuple[list[str], str | None]]:
    """Kinds and name of each resource that is named; the name is None for all of these kinds."""
    if any("/" in word for word in words):
        yield from (_parse_pair(word) for word in words)
    elif not words:
        yield list(KINDS), None
    else:
        kinds = parse_kinds(words[0])
        names: Sequence[str | None] = words[1:] or [None]
        yield from ((kinds, name) for name in names)


def _parse_pair(word: str) -> tuple[list[str], str | None]:
    kind, _, name = word.partition("/")
    if not (kind and name) or "/" in name:
        raise InvalidError(f"{word!r} must be KIND/NAME; do not mix KIND NAME and KIND/NAME")
    return parse_kinds(kind), name


def find_one(resources: Resources, words: Sequence[str]) -> Manifest:
    """The resource that a command line names. Raises InvalidError or NotFoundError."""
    if len(words) == 1 and "/" not in words[0]:
        return find_named(resources, list(KINDS), words[0])
    (kinds, name), *others = parse_words(words)
    if name is None or others:
        raise InvalidError(f"{' '.join(words)}: must name one resource; write KIND NAME, KIND/NAME or NAME")
    return find_named(resources, kinds, name)


def find_all(resources: Resources, words: Sequence[str]) -> list[Manifest]:
    """Every resource that is named. Raises InvalidError if none is."""
    if words[0] not in KIND_NAMES and not any("/" in word or "," in word for word in words):
        return [find_one(resources, [word]) for word in words]
    named = [*parse_words(words)]
    if any(name is None for _, name in named):
        raise InvalidError("must name a resource; write KIND NAME, KIND/NAME or NAME")
    return [find_named(resources, kinds, str(name)) for kinds, name in named]


def find_named(resources: Resources, kinds: Sequence[str], name: str) -> Manifest:
    """The one resource of this name among these kinds."""
    found = []
    for kind in kinds:
        try:
            found.append(resources.read(kind, name))
        except NotFoundError as error:
            missing = error
    if len(found) > 1:
        both = " and ".join(f"{item['kind'].lower()}/{name}" for item in found)
        raise InvalidError(f"{name}: there are {both}; write KIND/NAME")
    if not found:
        if len(kinds) == 1:
            raise missing
        raise NotFoundError(f'no resource is named "{name}" in {resources.place}; `deepsynth get` lists all resources')
    return found[0]


def format_name(resource: Manifest) -> str:
    """trainingrun.deepsynth.io/read-xsum, as `kubectl get -o name`."""
    kind = KINDS[resource["kind"]]
    return f"{kind.singular}.{kind.full_name.partition('.')[2]}/{resource['metadata']['name']}"


def format_short_name(resource: Manifest) -> str:
    """trainingrun/read-xsum"""
    return f"{resource['kind'].lower()}/{resource['metadata']['name']}"
