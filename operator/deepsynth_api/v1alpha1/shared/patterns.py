"""Strings with a pattern, and the message when the pattern does not match.

In Python, pydantic checks the pattern. In the CRD it becomes a CEL rule with the message, because the API server would
show only the pattern itself.
"""

from typing import Annotated, Any, Final

from pydantic import Field

REMEDY: Final = "x-remedy"
"""The key of the message in the JSON schema, for `crd/schema.py`."""


def matching(pattern: str, remedy: str, **options: Any) -> Any:
    """A Field whose whole value must match `pattern`. `remedy` is the message otherwise: "must be ..."."""
    return Field(pattern=f"^({pattern})$", json_schema_extra={REMEDY: remedy}, **options)


_CONTROL = r"\x00-\x1f\x7f"
_PATH = rf"(/[.]?([^./{_CONTROL}][^/{_CONTROL}]*)?)"
"""One part of a path: no "..", which would leave the volume, and no control characters."""
_OBJECT_PATH = rf"(/[.]?[^./?#{_CONTROL}][^/?#{_CONTROL}]*)"
"""The same for the name of an object; a ? would begin a query, which may hold a signature."""
_BUCKET = "[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_HUB_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_NAME = rf"{_DNS_LABEL}([.]{_DNS_LABEL})*"

FOLDER: Final = rf"file://{_PATH}+|pvc://{_DNS_NAME}{_PATH}*"
OBJECTS: Final = f"((s3|gs|az)://{_BUCKET}|hf://buckets/{_HUB_NAME}/{_HUB_NAME}){_OBJECT_PATH}*/?"
OBJECT_FORMS: Final = "s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, hf://buckets/OWNER/NAME/PATH"
NO_CREDENTIALS: Final = "without '..' and without credentials, which belong in the Secret of secretRef"
HUB_DATASET: Final = f"hf://datasets/{_HUB_NAME}/{_HUB_NAME}"
HUB_SOURCE: Final = f"hf://datasets/{_HUB_NAME}(/{_HUB_NAME})?"
HUB_MODEL: Final = f"hf://{_HUB_NAME}/{_HUB_NAME}"
RANDOM_MODEL: Final = "config://(deepseek-ocr2-tiny|vit-gpt2-tiny|page-reader-small|deepseek-ocr2)"
WEB_ADDRESS: Final = rf"https?://[^/ {_CONTROL}][^ {_CONTROL}]*"

MAX_QUANTITY_LENGTH: Final = 32
QUANTITY: Final = "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"
"""A Kubernetes resource.Quantity whose exponent has at most two digits: others take seconds to compute with."""

Folder = Annotated[str, matching(FOLDER, "must be pvc://CLAIM/PATH or file:///PATH, without '..'", max_length=1024)]
Decimal = Annotated[
    str,
    matching(
        r"[0-9]+([.][0-9]+)?([eE][-+]?[0-9]{1,2})?",
        'must be a number in quotes, at least 0, such as "0.0002" or "2e-4"',
        max_length=24,
    ),
]
"""A number as a string, because the Kubernetes API conventions forbid floats in a spec."""

Fraction = Annotated[
    str,
    matching(r"0([.][0-9]+)?|1([.]0+)?", 'must be a number from 0 to 1 in quotes, such as "0.05"', max_length=24),
]
"""A decimal string from 0 to 1."""

ObjectName = Annotated[
    str,
    matching(
        _DNS_NAME,
        "must be the name of an object in the same namespace: lower case letters, digits, '-' and '.', starting and "
        "ending with a letter or digit",
        max_length=253,
    ),
]

ClassName = Annotated[
    str,
    matching(
        _DNS_NAME,
        "must consist of lower case letters, digits, '-' and '.', and start and end with a letter or digit",
        max_length=253,
    ),
]
"""The name of an object without a namespace, or of a scheduler."""

LabelKey = Annotated[
    str,
    matching(
        f"({_DNS_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?",
        "must be the key of a label, NAME or DOMAIN/NAME: at most 63 letters, digits, '-', '_' and '.' in NAME",
        max_length=317,
    ),
]

Image = Annotated[
    str,
    matching(
        "[A-Za-z0-9][A-Za-z0-9._/:@-]*",
        "must be a container image such as registry.example.com/team/deepsynth:1.0, without spaces",
        max_length=1024,
    ),
]

Revision = Annotated[
    str,
    matching("[A-Za-z0-9_][A-Za-z0-9._/-]*", "must be a branch, a tag or a commit, without spaces", max_length=255),
]

SplitName = Annotated[
    str, matching("[A-Za-z0-9_]+([.][A-Za-z0-9_]+)*", "must be the name of a split, such as train", max_length=128)
]

LabelValue = Annotated[
    str,
    matching(
        "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?",
        "must be at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
        max_length=63,
    ),
]
