"""Policy tables: the order of decisions as data. The first policy that has an answer decides; the rest are not asked.

    END_POLICIES: Final = (
        Policy(succeeded, "the Job is Complete"),
        Policy(deadline_exceeded, "activeDeadlineSeconds is over"),
    )
    cause = first_match(END_POLICIES, view)

The model is cert-manager's pkg/controller/certificates/trigger/policies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Literal, TypeVar

View = TypeVar("View")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Policy(Generic[View, Answer]):
    """ask: pure; None when it has no answer. when: in a few words, when it answers."""

    ask: Callable[[View], Answer | None]
    when: str

    @property
    def name(self) -> str:
        return self.ask.__name__


def first_match(policies: Sequence[Policy[View, Answer]], view: View) -> Answer | None:
    """The answer of the first policy that has one; None when none has."""
    return next((answer for policy in policies if (answer := policy.ask(view)) is not None), None)


class _Undecided(Enum):
    NOT_OVER = "not over"


NotOver = Literal[_Undecided.NOT_OVER]
NOT_OVER: Final = _Undecided.NOT_OVER
"""The answer of an end policy that knows that the Job is not over yet: the policies after it are not asked."""
