"""What both kinds share: the base model, metadata, conditions, references and scalar types."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from deepsynth_api.v1alpha1.shared.patterns import ObjectName


class ApiModel(BaseModel):
    """camelCase in JSON, snake_case in Python. Unknown fields are ignored, as the API server drops them."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", defer_build=True
    )

    @classmethod
    def defaults(cls) -> Self:
        """An instance whose fields are all at their defaults, for defaults of other fields.

        Unlike cls(), it needs no validator. Building all of them would take a tenth of a second in each process.
        """
        built: Any = cls.model_construct()  # to mypy, pydantic's plugin makes it an ApiModel
        return cast("Self", built)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself, because it is immutable. For each field that is not set, pydantic copies the default."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """A dict for JSON, in camelCase and without unset fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def updated(self, **changes: Any) -> Self:
        """A copy with these fields changed. Raises TypeError for a field that does not exist.

        A decision makes some twenty copies. model_copy would take twice as long: it looks for extra fields and private
        attributes too, which these models do not have.
        """
        kind = type(self)
        if unknown := changes.keys() - kind.__pydantic_fields__.keys():
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        copied = kind.__new__(kind)
        set_attribute = object.__setattr__  # that of these models refuses
        set_attribute(copied, "__dict__", {**self.__dict__, **changes})
        set_attribute(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        set_attribute(copied, "__pydantic_extra__", None)
        set_attribute(copied, "__pydantic_private__", None)
        return copied


def _format_time(value: datetime) -> str:
    """Such as 2026-01-02T03:04:05Z. isoformat takes a third of strftime's time, and a status holds many times."""
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return f"{utc.isoformat(timespec='seconds').removesuffix('+00:00')}Z"


Time = Annotated[datetime, PlainSerializer(_format_time, when_used="json")]
"""RFC 3339 in UTC, whole seconds, as Kubernetes writes metav1.Time."""

Quantity = Annotated[
    int | str,
    BeforeValidator(lambda value: value if isinstance(value, int) else str(value)),
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
"""A Kubernetes resource.Quantity: 8, "8", "500m", "40Gi"."""

AUTO: Final = "auto"
_SIZE_OR_AUTO: Final = "must be an integer of at least 1, or auto"


def _check_size(value: Any) -> Any:
    """One error instead of one for each type of the union."""
    if value == AUTO or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise PydanticCustomError("size_or_auto", _SIZE_OR_AUTO)


SizeOrAuto = Annotated[
    int | Literal["auto"],
    BeforeValidator(_check_size),
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            "x-kubernetes-validations": [
                {
                    "rule": f"type(self) == int ? self >= 1 : self == '{AUTO}'",
                    "message": f"{_SIZE_OR_AUTO}; write numbers without quotes",
                }
            ],
        }
    ),
]
"""A number that the workload may choose itself: 8, "auto"."""

SET: Final[dict[str, JsonValue]] = {"x-kubernetes-list-type": "set"}
"""For json_schema_extra: the API server refuses duplicate items."""


def max_characters(limit: int) -> dict[str, JsonValue]:
    """For json_schema_extra: a limit that the API server checks, and that resources stored earlier may exceed."""
    return {"maxLength": limit}


def max_items(limit: int) -> dict[str, JsonValue]:
    """The same for a list."""
    return {"maxItems": limit}


def max_entries(limit: int) -> dict[str, JsonValue]:
    """The same for a map."""
    return {"maxProperties": limit}


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(ApiModel):
    """One aspect of the resource's state, in the form of metav1.Condition."""

    type: Annotated[str, Field(description="Name of the condition, such as Complete, Failed or Suspended.")]
    status: Annotated[ConditionStatus, Field(description="Whether the condition holds: True, False or Unknown.")]
    reason: Annotated[str, Field(description="Why the condition has this status, one CamelCase word.")]
    message: Annotated[str, Field(description="Human-readable details, with the remedy if there is one.")] = ""
    last_transition_time: Annotated[Time, Field(description="When status last changed.")]
    observed_generation: Annotated[
        int | None, Field(description="The metadata.generation that the condition was computed from.")
    ] = None


class SecretReference(ApiModel):
    """A Secret in the resource's namespace. The pods get it as envFrom; the operator never reads it."""

    name: Annotated[
        ObjectName,
        Field(
            description=(
                "Name of the Secret. Its keys become environment variables of the pods: HF_TOKEN for access to "
                "the Hub, HF_ENDPOINT for a Hub server of your own, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
                "AWS_REGION and AWS_ENDPOINT_URL for s3://, GOOGLE_SERVICE_ACCOUNT_KEY for gs://, "
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY for az://, HF_S3_ACCESS_KEY_ID and "
                "HF_S3_SECRET_ACCESS_KEY for hf://buckets/."
            ),
        ),
    ]


class ObjectMeta(ApiModel):
    """The part of metav1.ObjectMeta that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
