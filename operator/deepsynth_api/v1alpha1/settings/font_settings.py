"""Fonts of users: where they are, and which face and instance of a file is drawn."""

from typing import Annotated, Final

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel, max_entries
from deepsynth_api.v1alpha1.shared.patterns import FOLDER, HUB_MODEL, HUB_SOURCE, Revision, matching

BUNDLED_FAMILIES: Final = (
    "DejaVu Sans",
    "DejaVu Serif",
    "DejaVu Sans Mono",
    "Noto Sans",
    "Noto Serif",
    "Noto Sans Mono",
)
"""Families that a spec may name without bringing a font."""

FamilyName = Annotated[
    str,
    matching(
        "[A-Za-z0-9][A-Za-z0-9 ._+-]*",
        "must be a family name of letters, digits, blanks and '. _ + -'",
        max_length=64,
    ),
]

AxisValue = Annotated[
    str,
    matching(
        "-?[0-9]+([.][0-9]+)?",
        'must be a number in quotes, such as "600" or "-10"',
        max_length=16,
    ),
]


class FontSource(ApiModel):
    """A font file of the user. Its sha256 and its license are recorded in the plan, the manifest and the card."""

    name: Annotated[
        FamilyName,
        Field(description="Name of the family, for page.fontFamilies and the column font_family."),
    ]
    uri: Annotated[
        str,
        matching(
            f"{HUB_SOURCE}|{HUB_MODEL}|{FOLDER}",
            "must be hf://datasets/OWNER/NAME, hf://OWNER/NAME, pvc://CLAIM/PATH or file:///PATH, without '..'",
            max_length=1024,
            description=(
                "Where the file is: a repository or folder with it, or the file itself: hf://datasets/OWNER/NAME, "
                "hf://OWNER/NAME, pvc://CLAIM/PATH or file:///PATH. A private repository is read with the token of "
                "source.secretRef or output.secretRef."
            ),
        ),
    ]
    path: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description=(
                "Path of the file in the repository or folder, such as fonts/Garamond.ttf (.ttf, .otf or .ttc). "
                "Default: its only font file."
            ),
        ),
    ] = None
    revision: Annotated[
        Revision | None,
        Field(description="Branch, tag or commit of a repository on the Hub. The plan pins the content of the file."),
    ] = None
    face: Annotated[int, Field(ge=0, le=255, description="Index of the face in a collection (.ttc).")] = 0
    axes: Annotated[
        dict[str, AxisValue],
        Field(
            json_schema_extra=max_entries(16),
            description=(
                'Instance of a variable font: value of each axis by its tag, such as wght: "600". An axis that is '
                "not set has its default, wght 400."
            ),
        ),
    ] = Field(default_factory=dict)
