from decimal import Decimal

import pytest

from deepsynth_operator.core.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (8, "8"),
        ("500m", "0.5"),
        ("40Gi", 40 * 2**30),
        ("1e3", "1000"),
        ("9e99", 2**63 - 1),
        ("-1e30", 1 - 2**63),
    ],
)
def test_a_quantity_is_its_number_up_to_the_limit_of_kubernetes(text: int | str, number: int | str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "many", "1e", "1 Gi", "1e999", "1e-999999", "1e999999999", "9" * 33, "9" * 9999])
def test_other_text_is_not_a_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        parse_quantity(text)
