"""Kubernetes quantities as numbers: 8, 500m, 40Gi, 1e3."""

from decimal import Decimal, InvalidOperation
from typing import Final

_UNITS: Final = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{unit: Decimal(10) ** power for unit, power in {"n": -9, "u": -6, "m": -3}.items()},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
}


def parse_quantity(quantity: int | str) -> Decimal:
    """The number a quantity stands for. Raises ValueError for anything else."""
    text = str(quantity)
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    try:
        number = Decimal(text.removesuffix(unit))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a quantity such as 8, 500m or 40Gi") from error
    return number * _UNITS.get(unit, 1)
