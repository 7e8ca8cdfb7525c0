"""bitsandbytes, which only some settings need and which is not installed everywhere."""

import logging
from typing import Any

from deepsynth_api.errors import ConfigurationError


def import_bitsandbytes(field: str, value: str, otherwise: str) -> Any:
    """The module. field, value: the setting that needs it. otherwise: the setting to use without it.

    Raises ConfigurationError if it is not installed, or cannot be loaded on this machine.
    """
    silence_bitsandbytes()
    try:
        import bitsandbytes
        import bitsandbytes.optim
    except (ImportError, OSError, RuntimeError) as error:
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"
        raise ConfigurationError(
            f"{field}: {value} needs bitsandbytes, which {why}; run `pip install bitsandbytes`, use an image with it "
            f"(spec.image), or set {otherwise}"
        ) from error
    return bitsandbytes


def silence_bitsandbytes() -> None:
    """It warns on machines without a GPU when it is imported, which peft also does."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
