"""Kubernetes quantities as numbers: 500m -> 0.5, 40Gi -> 40 * 2**30, 1e3 -> 1000."""

import re
from decimal import Decimal
from typing import Final

from deepsynth_api.v1alpha1.shared.patterns import MAX_QUANTITY_LENGTH

_UNITS: Final = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{unit: Decimal(10) ** power for unit, power in {"n": -9, "u": -6, "m": -3}.items()},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
}
_MAX: Final = Decimal(2**63 - 1)
_QUANTITY: Final = re.compile(
    rf"(?P<number>[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+))((?P<unit>{'|'.join(_UNITS)})|(?P<exponent>[eE][+-]?[0-9]{{1,2}})|)"
)


def parse_quantity(quantity: int | str) -> Decimal:
    """The number that a quantity stands for, at most 2**63 - 1 as in Kubernetes. Raises ValueError for other text.

    Takes constant time: long texts and exponents of three digits are no quantities.
    """
    text = str(quantity)
    match = _QUANTITY.fullmatch(text) if len(text) <= MAX_QUANTITY_LENGTH else None
    if match is None:
        raise ValueError(f"must be a quantity such as 8, 500m or 40Gi, got {text[:MAX_QUANTITY_LENGTH]!r}")
    number = Decimal(match["number"] + (match["exponent"] or "")) * _UNITS.get(match["unit"] or "", 1)
    return max(-_MAX, min(number, _MAX))
