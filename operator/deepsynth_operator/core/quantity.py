"""Kubernetes quantities as numbers: 500m -> 0.5, 40Gi -> 40 * 2**30, 1e3 -> 1000."""

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{unit: Decimal(10) ** power for unit, power in {"n": -9, "u": -6, "m": -3}.items()},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
}
_MAX: Final = Decimal(2**63 - 1)
_QUANTITY: Final = re.compile(
    rf"(?P<number>[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+))((?P<unit>{'|'.join(_UNITS)})|(?P<exponent>[eE][+-]?[0-9]+)|)"
)


def parse_quantity(quantity: int | str) -> Decimal:
    """The number that a quantity stands for, at most 2**63 - 1 as in Kubernetes. Raises ValueError for other text."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        raise ValueError(f"must be a quantity such as 8, 500m or 40Gi, got {str(quantity)!r}")
    try:
        number = Decimal(match["number"] + (match["exponent"] or "")) * _UNITS.get(match["unit"] or "", 1)
    except ArithmeticError as error:
        raise ValueError(f"must have a smaller exponent, got {str(quantity)!r}") from error
    return max(-_MAX, min(number, _MAX))
