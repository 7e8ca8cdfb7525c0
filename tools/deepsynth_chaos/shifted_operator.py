"""`python -m deepsynth_chaos.shifted_operator FILE`: the operator, with a clock that is off by the seconds in FILE.

Only the clock by which it decides: that of the Lease is another one, and certificates must stay valid. The file is read
at each look, so the clock can jump while the operator works.
"""

import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

from deepsynth_operator import __main__ as operator
from deepsynth_operator.controller import controller


class ShiftedClock(datetime):
    """`datetime`, with another `now`."""

    file = Path("/dev/null")

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        seconds = float(cls.file.read_text() or 0) if cls.file.exists() else 0.0
        return super().now(tz) + timedelta(seconds=seconds)


def main(file: str) -> int:
    ShiftedClock.file = Path(file)
    vars(controller)["datetime"] = ShiftedClock
    return operator.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
