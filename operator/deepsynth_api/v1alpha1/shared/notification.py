"""The outbox of a resource, in the status of both kinds."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel, Time


class PendingNotification(ApiModel):
    """The resource has ended, and the administrator's webhook does not know yet."""

    time: Annotated[Time, Field(description="When the resource completed or failed.")]
    state: Annotated[
        Literal["Complete", "Failed"], Field(description="State in which the resource ended: Complete or Failed.")
    ]


Outbox = Annotated[
    PendingNotification | None,
    Field(
        description=(
            "The end of the resource, until the administrator's webhook has accepted the news of it. Unset without a "
            "webhook."
        )
    ),
]
"""status.pendingNotification."""
