r"""The bidirectional algorithm (UAX 9): which characters of a paragraph run from right to left.

Each character gets an embedding level: even from left to right, odd from right to left. With Hebrew as capitals:

    text     he said "CAR 24"       paragraph direction: left to right (level 0)
    levels   000000000111122 0      "24" is level 2: digits run from left to right within Hebrew
    drawn    he said "24 RAC"

The rules work on a string with one letter for the class of each character (CLASSES), mostly by regular expressions,
because most paragraphs are a single run. Reordering needs the lines, so it is in layout.py (rule L2); HarfBuzz mirrors
brackets.
"""

import re
import unicodedata
from itertools import groupby
from typing import Final, NamedTuple

CLASSES: Final = {
    "L": "L", "R": "R", "AL": "A", "EN": "E", "AN": "N", "ES": "-", "ET": "$", "CS": ",", "NSM": "M", "BN": "b",
    "B": "P", "S": "S", "WS": "W", "ON": "O",
    "LRE": "1", "RLE": "2", "LRO": "3", "RLO": "4", "PDF": "5", "LRI": "6", "RLI": "7", "FSI": "8", "PDI": "9",
}  # fmt: skip
"""Letter of each bidirectional class of Unicode. Characters without a class count as L."""

MAX_DEPTH: Final = 125
_MAX_OPEN_BRACKETS: Final = 63

_NOT_PLAIN_RIGHT = re.compile("[LEN1-9]")
_EXPLICIT = re.compile("[1-9]")
_REMOVED = frozenset("12345b")
_NEUTRALS = re.compile("[PSWO6-9]+")
_MARKED = re.compile("([^M])(M+)")
_AFTER_ARABIC = re.compile("A[^LRA]+")
_AFTER_LEFT = re.compile("L[^LR]+")
_IN_NUMBER = re.compile("(?<=E)[-,](?=E)")
_IN_ARABIC_NUMBER = re.compile("(?<=N),(?=N)")
_AT_NUMBER = re.compile(r"\$+(?=E)|(?<=E)\$+")
_BETWEEN_RIGHT = re.compile("(?<=[REN])[PSWO6-9](?=[REN])")
_BETWEEN_LEFT = re.compile("(?<=L)[PSWO6-9](?=L)")
_NEXT_TO_CLOSING = (
    "(\u0f3a\u0f3c\u169b\u2045\u207d\u208d\u2308\u230a\u2329\u2768\u276a\u276c\u276e\u2770\u2772\u2774\u27c5\u27e6"
    "\u27e8\u27ea\u27ec\u27ee\u2983\u2985\u2987\u2989\u298b\u2991\u2993\u2995\u2997\u29d8\u29da\u29fc\u2e22\u2e24\u2e26"
    "\u2e28\u2e55\u2e57\u2e59\u2e5b\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\ufe59\ufe5b\ufe5d\uff08\uff5f"
    "\uff62"
)
_OPENING: Final = {opening: chr(ord(opening) + 1) for opening in _NEXT_TO_CLOSING} | {
    "[": "]",
    "{": "}",
    "\u298d": "\u2990",
    "\u298f": "\u298e",
    "\uff3b": "\uff3d",
    "\uff5b": "\uff5d",
}
"""Closing bracket of each opening one (Bidi_Paired_Bracket)."""
_CLOSING: Final = frozenset(_OPENING.values())
_BRACKET = re.compile("[" + re.escape("".join(_OPENING)) + "]")
_ANY_BRACKET = re.compile("[" + re.escape("".join([*_OPENING, *_CLOSING])) + "]")
_EQUAL_BRACKETS: Final = {"\u2329": "\u3008", "\u232a": "\u3009"}


class _Classes(dict[int, str]):
    """Code point -> letter of CLASSES, for str.translate; filled as characters are met."""

    def __missing__(self, codepoint: int) -> str:
        letter = self[codepoint] = CLASSES.get(unicodedata.bidirectional(chr(codepoint)), "L")
        return letter


_CLASS_OF = _Classes()


class Direction(NamedTuple):
    """base: level of the paragraph, 0 or 1. levels: (characters,) level of each character, as characters."""

    base: int
    levels: str


def resolve(paragraph: str, base: int | None = None) -> Direction:
    r"""Levels of a paragraph without line ends. base: its level; by default that of its first strong character.

    >>> resolve("a\u05d0\u05d1 1").levels.encode()
    b'\x00\x01\x01\x01\x02'
    """
    classes = paragraph.translate(_CLASS_OF)
    if base is None:
        base = find_base(classes)
    if base == 1 and not _NOT_PLAIN_RIGHT.search(classes):
        return Direction(base, "\x01" * len(classes))
    if _EXPLICIT.search(classes):
        levels = "".join(map(chr, _resolve_explicit(paragraph, classes, base)))
    else:
        levels = _resolve_single_run(paragraph, classes, base)
    return Direction(base, _reset_separators(classes, levels, base))


def find_base(classes: str) -> int:
    """Rules P2 and P3: the level of the first strong character that is outside of isolates, or 0."""
    isolates = 0
    for match in re.finditer("[LRA6-9]", classes):
        letter = match[0]
        if letter in "678":
            isolates += 1
        elif letter == "9":
            isolates = max(isolates - 1, 0)
        elif not isolates:
            return int(letter != "L")
    return 0


def _reset_separators(classes: str, levels: str, base: int) -> str:
    """Rule L1 for the paragraph's end and its separators. Blanks at the ends of other lines are on no line."""
    end = len(classes.rstrip(_BLANK))
    levels = levels[:end] + chr(base) * (len(classes) - end)
    if "S" in classes or "P" in classes:
        for match in re.finditer(f"[{_BLANK}]*[SP]", classes):
            levels = levels[: match.start()] + chr(base) * len(match[0]) + levels[match.end() :]
    return levels


_BLANK: Final = "W123456789b"


def _resolve_single_run(text: str, classes: str, base: int) -> str:
    """A paragraph without embeddings and isolates. Joiners (b) take the level of the character before (X9)."""
    side = "LR"[base]
    if "b" not in classes:
        return _resolve_run(text, classes, base, side, side)
    kept = "".join(character for character, letter in zip(text, classes, strict=True) if letter != "b")
    levels = _resolve_run(kept, classes.replace("b", ""), base, side, side)
    resolved = iter(levels)
    last, found = chr(base), []
    for letter in classes:
        last = last if letter == "b" else next(resolved)
        found.append(last)
    return "".join(found)


def _resolve_run(text: str, classes: str, level: int, before: str, after: str) -> str:
    """Rules W1 to I2 for an isolating run sequence at one level.

    before, after: the directions at its ends, "L" or "R" (sos and eos).
    """
    classes = _resolve_weak(classes, before)
    if _BRACKET.search(text):
        classes = _resolve_brackets(text, classes, level, before)
    padded = before + classes + after
    own = "LR"[level % 2]

    def choose(match: re.Match[str]) -> str:  # rules N1 and N2
        left, right = padded[match.start() - 1] == "L", padded[match.end()] == "L"
        return (own if left != right else "L" if left else "R") * len(match[0])

    # Single neutrals between equal directions, such as spaces between words, without a call for each.
    padded = _BETWEEN_LEFT.sub("L", _BETWEEN_RIGHT.sub("R", padded))
    classes = _NEUTRALS.sub(choose, padded)[1:-1]
    same, up, numbers = chr(level), chr(level + 1), chr(level + 2 - level % 2)
    return classes.translate(str.maketrans("LREN", same + up + 2 * numbers if own == "L" else up + same + 2 * up))


def _resolve_weak(classes: str, before: str) -> str:
    """Rules W1 to W7."""
    classes = before + classes
    if "M" in classes:  # W1
        classes = _MARKED.sub(lambda m: m[1] + ("O" if m[1] in "6789" else m[1]) * len(m[2]), classes)
    if "E" in classes or "N" in classes:
        if "A" in classes:  # W2
            classes = _AFTER_ARABIC.sub(lambda m: m[0].replace("E", "N"), classes)
        classes = _IN_ARABIC_NUMBER.sub("N", _IN_NUMBER.sub("E", classes))  # W4
        if "$" in classes:  # W5
            classes = _AT_NUMBER.sub(lambda m: "E" * len(m[0]), classes)
    classes = classes.replace("A", "R").translate(_SEPARATORS_TO_NEUTRAL)  # W3, W6
    if "E" in classes:  # W7
        classes = _AFTER_LEFT.sub(lambda m: m[0].replace("E", "L"), classes)
    return classes[1:]


_SEPARATORS_TO_NEUTRAL = str.maketrans("-$,", "OOO")


def _resolve_brackets(text: str, classes: str, level: int, before: str) -> str:
    """Rule N0: both brackets of a pair get one direction."""
    letters = list(classes)
    own = "LR"[level % 2]
    for opening, closing in _find_pairs(text, classes):
        inside = {"L" if letter == "L" else "R" for letter in letters[opening + 1 : closing] if letter in "LREN"}
        if own in inside:
            direction = own
        elif inside:
            strong = next((letters[i] for i in range(opening - 1, -1, -1) if letters[i] in "LREN"), before)
            direction = "L" if strong == "L" else "R"
        else:
            continue
        for bracket in (opening, closing):
            letters[bracket] = direction
            _carry_to_marks(text, letters, bracket, direction)
    return "".join(letters)


def _carry_to_marks(text: str, letters: list[str], bracket: int, direction: str) -> None:
    """Combining marks after a bracket, which W1 made neutral, follow it."""
    for index in range(bracket + 1, len(letters)):
        if unicodedata.bidirectional(text[index]) != "NSM":
            break
        letters[index] = direction


def _find_pairs(text: str, classes: str) -> list[tuple[int, int]]:
    """Rule BD16: the positions of opening and closing brackets that belong together, in order."""
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for match in _ANY_BRACKET.finditer(text):
        index, character = match.start(), match[0]
        if classes[index] != "O":
            continue
        if character in _OPENING:
            if len(opened) == _MAX_OPEN_BRACKETS:
                return sorted(pairs)
            closing = _OPENING[character]
            opened.append((_EQUAL_BRACKETS.get(closing, closing), index))
        else:
            closing = _EQUAL_BRACKETS.get(character, character)
            depth = next((depth for depth in reversed(range(len(opened))) if opened[depth][0] == closing), None)
            if depth is not None:
                pairs.append((opened[depth][1], index))
                del opened[depth:]
    return sorted(pairs)


def _resolve_explicit(text: str, classes: str, base: int) -> list[int]:
    """Rules X1 to X10, for paragraphs with embeddings, overrides or isolates."""
    embedding, overridden = _embed(classes, base)
    levels = list(embedding)
    for sequence, before, after in _find_sequences(classes, embedding, base):
        level = embedding[sequence[0]]
        run = "".join(text[index] for index in sequence), "".join(overridden[index] for index in sequence)
        for index, resolved in zip(sequence, _resolve_run(*run, level, before, after), strict=True):
            levels[index] = ord(resolved)
    last = base
    for index, letter in enumerate(overridden):
        if letter in _REMOVED:
            levels[index] = last
        last = levels[index]
    return levels


class _Status(NamedTuple):
    level: int
    override: str
    isolate: bool


def _embed(classes: str, base: int) -> tuple[list[int], str]:
    """Rules X1 to X8: the explicit level of each character, and the classes after overrides."""
    stack = [_Status(base, "", isolate=False)]
    levels: list[int] = []
    letters: list[str] = []
    first_strong = _find_first_strong(classes, _match_isolates(classes)) if "8" in classes else []
    overflow_isolates = overflow_embeddings = valid_isolates = 0
    for index, letter in enumerate(classes):
        top = stack[-1]
        level, shown = top.level, letter if letter in _REMOVED else top.override or letter
        if letter in "1234678":
            to_left = letter in "247" or (letter == "8" and first_strong[index + 1])
            target = (level + 1) | 1 if to_left else (level + 2) & ~1
            isolate = letter in "678"
            if target <= MAX_DEPTH and not overflow_isolates and not overflow_embeddings:
                valid_isolates += isolate
                override = {"3": "L", "4": "R"}.get(letter, "")
                stack.append(_Status(target, override, isolate))
            elif isolate:
                overflow_isolates += 1
            elif not overflow_isolates:
                overflow_embeddings += 1
        elif letter == "9":
            if overflow_isolates:
                overflow_isolates -= 1
            elif valid_isolates:
                overflow_embeddings = 0
                while not stack.pop().isolate:
                    pass
                valid_isolates -= 1
            level, shown = stack[-1].level, stack[-1].override or letter
        elif letter == "5":
            if overflow_isolates:
                pass
            elif overflow_embeddings:
                overflow_embeddings -= 1
            elif not top.isolate and len(stack) > 1:
                stack.pop()
        elif letter == "P":
            level, shown = base, letter
        levels.append(level)
        letters.append(shown)
    return levels, "".join(letters)


def _find_first_strong(classes: str, isolates: dict[int, int]) -> list[bool]:
    """(characters + 1,) whether the first strong character from there on, outside of isolates, runs to the left.

    A list for the whole paragraph, because looking ahead from each isolate would take quadratic time.
    """
    found = [False] * (len(classes) + 1)
    for index in range(len(classes) - 1, -1, -1):
        letter = classes[index]
        if letter in "LRA":
            found[index] = letter != "L"
        elif letter in "678":
            found[index] = index in isolates and found[isolates[index] + 1]
        elif letter != "9":
            found[index] = found[index + 1]
    return found


def _find_sequences(classes: str, levels: list[int], base: int) -> list[tuple[list[int], str, str]]:
    """Rule X10: isolating run sequences, each with its characters and the directions before and after it.

    A sequence continues behind what it isolates: A and B below are one sequence, C is another.

        A RLI C PDI B      levels 0 0 1 0 0
    """
    kept = [index for index, letter in enumerate(classes) if letter not in _REMOVED]
    runs = {run[0]: run for run in (list(run) for _, run in groupby(kept, levels.__getitem__))}
    pdi = _match_isolates(classes)
    continued = {pdi[run[-1]] for run in runs.values() if run[-1] in pdi}
    place = {index: position for position, index in enumerate(kept)}
    sequences = []
    for first, run in runs.items():
        if first in continued:
            continue
        sequence = list(run)
        while sequence[-1] in pdi:
            sequence += runs[pdi[sequence[-1]]]
        last, level = sequence[-1], levels[first]
        before = levels[kept[place[first] - 1]] if place[first] else base
        is_open = classes[last] in "678" or place[last] + 1 == len(kept)
        after = base if is_open else levels[kept[place[last] + 1]]
        sequences.append((sequence, "LR"[max(level, before) % 2], "LR"[max(level, after) % 2]))
    return sequences


def _match_isolates(classes: str) -> dict[int, int]:
    """Isolate initiator -> the PDI that ends it (BD9)."""
    opened: list[int] = []
    matches = {}
    for index, letter in enumerate(classes):
        if letter in "678":
            opened.append(index)
        elif letter == "9" and opened:
            matches[opened.pop()] = index
    return matches
