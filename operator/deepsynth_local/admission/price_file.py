"""The price table of this machine: `--prices FILE` or DEEPSYNTH_PRICES."""

import os
from collections.abc import Mapping
from pathlib import Path

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.prices import NO_PRICES, PriceTable, parse_prices


def read_prices(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> PriceTable:
    """The table of `file`, else of the file that DEEPSYNTH_PRICES names, else none. Raises ConfigurationError."""
    chosen = file or environment.get("DEEPSYNTH_PRICES")
    if not chosen:
        return NO_PRICES
    try:
        text = Path(chosen).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"prices: {chosen} cannot be read: {error}") from error
    return parse_prices(text, str(chosen))
