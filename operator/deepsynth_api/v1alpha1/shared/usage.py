"""What pods used and what that cost, in the status of both kinds.

Amounts are decimal strings, because money in floats does not add up.
"""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel

NO_COST: Final = Decimal(0)


class HourlyPrice(ApiModel):
    """What one pod costs in an hour. It is noted when the first pod starts, and stays when prices change later."""

    currency: Annotated[str, Field(description="Currency of the amount, such as USD.")]
    amount: Annotated[str, Field(description="Price of one pod for an hour, such as 3.06.")]


class Cost(ApiModel):
    currency: Annotated[str, Field(description="Currency of the amounts, such as USD.")]
    amount: Annotated[str, Field(description="Cost of all pods, such as 12.58.")]
    lost: Annotated[str, Field(description="Part of the amount that was lost: no result holds the work.")] = "0"


class ContainerUsage(ApiModel):
    cpu_seconds: Annotated[
        int, Field(description="CPU-seconds that were held: CPUs that the containers requested times seconds.")
    ] = 0
    lost_cpu_seconds: Annotated[
        int, Field(description="Part of cpuSeconds that was lost, because no result holds the work.")
    ] = 0
    cost: Annotated[
        Cost | None,
        Field(description="What this cost, by the administrator's prices. Unset if there were none at the start."),
    ] = None


class Usage(ContainerUsage):
    gpu_seconds: Annotated[
        int, Field(description="GPU-seconds that all attempts used: number of GPUs times seconds.")
    ] = 0
    lost_gpu_seconds: Annotated[int, Field(description="Part of gpuSeconds spent on steps that were lost.")] = 0


def parse_amount(text: str) -> Decimal:
    """The number of an amount in a status. 0 for other text: a user with the right to write a status may do so."""
    return Decimal(text) if len(text) <= 64 and text.replace(".", "", 1).isdecimal() and text.isascii() else NO_COST


def format_amount(amount: Decimal) -> str:
    """Without an exponent and without zeros at the end, but with at least two places if there are any: 12.50, 3."""
    text = f"{amount:f}"
    whole, _, places = text.partition(".")
    places = places.rstrip("0")
    return f"{whole}.{places.ljust(2, '0')}" if places else whole
