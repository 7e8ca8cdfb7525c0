import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from deepsynth_api.report import Report, TrainReport
from deepsynth_train.launcher.report_server import start_report_server


def test_report_metrics_and_health_are_served() -> None:
    train = TrainReport(attempt=2, step=5, loss=1.5)
    report = Report(step="train", time=datetime.now(UTC), train=train)
    server = start_report_server("127.0.0.1:0", lambda: report)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    assert Report.model_validate_json(read(f"{address}/report")).train == train
    metrics = read(f"{address}/metrics")
    assert "deepsynth_train_step 5.0" in metrics
    assert "deepsynth_train_loss 1.5" in metrics
    assert "grad_norm" not in metrics
    assert read(f"{address}/healthz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        read(f"{address}/else")
    error.value.close()
    server.shutdown()
    server.server_close()


def test_only_the_first_node_exports_what_is_of_the_whole_run() -> None:
    """A sum over the pods of a run would count it once per node."""
    numbers = {"attempt": 1, "step": 5, "loss": 1.5, "samplesPerSecond": 8.0, "peakMemoryBytes": 7}
    report = Report(step="train", time=datetime.now(UTC), train=TrainReport.model_validate(numbers))
    seen = []
    for node_rank in range(2):
        server = start_report_server("127.0.0.1:0", lambda: report, node_rank=node_rank)
        seen.append(read(f"http://127.0.0.1:{server.server_address[1]}/metrics"))
        server.shutdown()
        server.server_close()
    first, second = ({line.split()[0] for line in text.splitlines() if line[0] != "#"} for text in seen)
    assert {"deepsynth_train_samples_per_second", "deepsynth_train_loss", "deepsynth_train_step"} <= first
    assert second == {"deepsynth_train_peak_memory_bytes"}
    assert second < first


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text
