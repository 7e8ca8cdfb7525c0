import pickle

from deepsynth_api.errors import DataError


def test_an_error_keeps_its_reason_across_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("no rows in a.parquet", reason="EmptyDataset")))  # noqa: S301 - our own
    assert (type(error), error.message, error.reason, error.exit_code) == (
        DataError,
        "no rows in a.parquet",
        "EmptyDataset",
        65,
    )
