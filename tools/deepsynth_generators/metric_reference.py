"""Write docs/reference/metrics.md: every series of the operator and of pods, with type, labels and meaning."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_api.report import PublishReport, RenderReport
from deepsynth_generators.generated_file import write_or_check
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.process.metrics import Metrics
from deepsynth_render.reporting.report import METRICS as STEP_GAUGES
from deepsynth_train.launcher.report_server import NODE_GAUGES, RUN_GAUGES

PAGE: Final = Path(__file__).parents[2] / "docs/reference/metrics.md"
HEADER: Final = """\
# Metrics

<!-- Written by `make reference` from the series that the code exports. Do not edit. -->

How to scrape them, boards and alerts: [Monitoring](../operations/monitoring.md).

## Of the operator

At `/metrics` of the Service `deepsynth`, port `http`. No label holds the name of a resource, so the number of series
does not grow with use. A histogram has the series `_bucket`, `_count` and `_sum`.

"""
OPERATOR_TABLE: Final = "| series | type | labels | meaning |\n|---|---|---|---|\n"
POD_TABLE: Final = "| series | meaning |\n|---|---|\n"
RUN: Final = """
## Of training pods

At `/metrics` on port 8470 of the pods. All are gauges. These are of the whole run, and only its first pod exports them:

"""
NODE: Final = "\nThese are of each pod:\n\n"
RENDER: Final = "\n## Of rendering pods\n\nAll are gauges, each of one shard.\n\n"
PUBLISH: Final = "\n## Of publishing pods\n\n"


def render_page() -> str:
    rendered = {name: text for name, text in STEP_GAUGES.items() if name in RenderReport.model_fields}
    published = {name: text for name, text in STEP_GAUGES.items() if name in PublishReport.model_fields}
    return "".join(
        [
            *(HEADER, OPERATOR_TABLE, *describe_operator(collect_operator_metrics())),
            *(RUN, POD_TABLE, *describe_gauges("train", RUN_GAUGES)),
            *(NODE, POD_TABLE, *describe_gauges("train", NODE_GAUGES)),
            *(RENDER, POD_TABLE, *describe_gauges("render", rendered)),
            *(PUBLISH, POD_TABLE, *describe_gauges("publish", published)),
        ]
    )


def collect_operator_metrics() -> str:
    """The text that Prometheus scrapes, after each metric was counted once."""

    async def process(_: ResourceKey) -> None: ...

    cache, metrics = ResourceCache(), Metrics()
    metadata = {"name": "a", "namespace": "a", "uid": "a", "resourceVersion": "1"}
    cache.put("TrainingRun", {"metadata": metadata, "spec": {}, "status": {"state": "Complete"}})
    metrics.observe_reconcile("TrainingRun", "done", 1.0)
    metrics.show_currency("USD")
    metrics.count_request("list", "pods", "200")
    metrics.watch(WorkQueue(process), cache, lambda: [("pods", 1.0)])
    return metrics.render().decode()


def describe_operator(text: str) -> Iterator[str]:
    from prometheus_client.parser import text_string_to_metric_families

    parse: Callable[[str], Iterable[Any]] = text_string_to_metric_families
    for family in sorted(parse(text), key=lambda family: str(family.name)):
        if family.name.startswith("deepsynth_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            yield f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |\n"


def describe_gauges(step: str, gauges: Mapping[str, str]) -> Iterator[str]:
    for name, text in gauges.items():
        yield f"| `deepsynth_{step}_{name}` | {text} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the metrics are out of date; run `make reference`"
    return write_or_check(arguments, PAGE, render_page(), what="docs/reference/metrics.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
