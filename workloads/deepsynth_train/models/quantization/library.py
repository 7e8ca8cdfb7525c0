"""bitsandbytes, which only some settings need and which is not installed everywhere."""

from typing import Any

from deepsynth_api.errors import ConfigurationError


def import_bitsandbytes(field: str, value: str, otherwise: str) -> Any:
    """The module. field, value: the setting that needs it. otherwise: the setting to use without it.

    Raises ConfigurationError if it is not installed, or cannot be loaded on this machine.
    """
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
