import pytest

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, ReadColumns
from deepsynth_render.plan.missing_texts import require_texts


def test_the_remedy_is_in_the_message_however_many_and_long_the_columns_are() -> None:
    columns = [ReadColumns(text=f"{number}".ljust(9000, "x"), summary="", rows=4) for number in range(256)]
    with pytest.raises(DataError, match=r" or 253 others; .*name the column of the texts") as caught:
        require_texts(1024, [DroppedRows(reason="MissingText", rows=1024)], 0, columns)
    assert len(caught.value.message) < 1024
