"""How pages are made to look like scans."""

from typing import Annotated

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_api.v1alpha1.shared.patterns import Decimal


class AugmentationSettings(ApiModel):
    """Upper limits of what makes a page look like a scan. Each page gets random strengths up to them, by the seed."""

    percent: Annotated[int, Field(ge=1, le=100, description="Percentage of the pages that are changed.")] = 100
    skew_degrees: Annotated[
        Decimal,
        Field(
            description=(
                "Rotation to either side, 0 to 3 degrees. Less where the text would reach beyond the edge of the page."
            )
        ),
    ] = "0.8"
    blur_px: Annotated[
        Decimal,
        Field(
            description=(
                "Standard deviation of the blur in pixels, 0 to 4, and at most a tenth of the smallest font size."
            )
        ),
    ] = "0.6"
    paper: Annotated[
        int, Field(ge=0, le=64, description="Shade and stains of the paper, in levels of gray out of 255.")
    ] = 16
    contrast_percent: Annotated[
        int, Field(ge=0, le=60, description="By how much the letters are paler, as a percentage.")
    ] = 20
    noise: Annotated[
        int, Field(ge=0, le=32, description="Standard deviation of the noise, in levels of gray out of 255.")
    ] = 6
    jpeg_quality: Annotated[
        int | None,
        Field(
            ge=30,
            le=95,
            description=(
                "Store pages as JPEG of a quality from this one to 95. Default: as PNG with 256 levels of gray, which "
                "takes two to three times as many bytes with noise."
            ),
        ),
    ] = None
