import ast
import pickle
import re
from pathlib import Path

from deepsynth_api.reasons import Reason

ROOT = Path(__file__).parents[3]


def test_every_reason_says_what_it_means_and_what_to_do_in_one_sentence() -> None:
    for reason in Reason:
        assert re.fullmatch(r"[A-Z].*[.]", reason.meaning), reason
        assert reason.remedy == "" or re.fullmatch(r"[A-Z].*[.]", reason.remedy), reason


def test_a_reason_is_its_word_wherever_a_string_is_expected() -> None:
    assert f"{Reason.NODE_LOST}" == "NodeLost"
    assert {"NodeLost": 1}[Reason.NODE_LOST] == 1
    assert pickle.loads(pickle.dumps(Reason.NODE_LOST)) is Reason.NODE_LOST  # noqa: S301 - written one line above


def test_no_error_carries_a_reason_outside_the_list() -> None:
    files = [path for folder in ("operator", "workloads") for path in (ROOT / folder).rglob("*.py")]
    assert {(path.name, word) for path in files for word in find_literal_reasons(path)} == set()


def find_literal_reasons(path: Path) -> set[str]:
    """Strings that the code passes as `reason=`, in place of a member of the enum."""
    keywords = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword))
    values = (keyword.value for keyword in keywords if keyword.arg == "reason")
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}
