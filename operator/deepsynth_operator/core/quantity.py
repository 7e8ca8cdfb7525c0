"""Kubernetes quantities as numbers: 8, 500m, 40Gi, 1e3."""

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{unit: Decimal(10) ** power for unit, power in {"n": -9, "u": -6, "m": -3}.items()},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
}
_QUANTITY: Final = re.compile(
    rf"(?P<number>[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+))((?P<unit>{'|'.join(_UNITS)})|(?P<exponent>[eE][+-]?[0-9]+)|)"
)


def parse_quantity(quantity: int | str) -> Decimal:
    """The number a quantity stands for. Raises ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        raise ValueError(f"{str(quantity)!r} is not a quantity such as 8, 500m or 40Gi")
    return Decimal(match["number"] + (match["exponent"] or "")) * _UNITS.get(match["unit"] or "", 1)
