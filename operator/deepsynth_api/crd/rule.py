"""One CEL rule of a CRD."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """path: dotted path of the schema the rule stands on, [] for list items. field: fieldPath relative to it.

    message: names the field, and what to do.
    """

    path: str
    rule: str
    message: str
    field: str = ""

    def to_dict(self) -> dict[str, str]:
        entry = {"rule": self.rule, "message": self.message}
        return {**entry, "fieldPath": self.field} if self.field else entry
