"""What users and their tools depend on, one file each in tests/golden/api: UPDATE_GOLDEN=1 rewrites them.

A changed file in a diff is a changed API: say so in CHANGELOG.md, or undo it.
"""

import argparse
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from support.golden_files import FOLDER, assert_golden_text


def assert_frozen(name: str, lines: list[str]) -> None:
    assert_golden_text(FOLDER / "api" / f"{name}.txt", "".join(f"{line}\n" for line in lines))


def test_the_reasons_stay() -> None:
    assert_frozen("reasons", sorted(Reason))


def test_the_exit_codes_stay() -> None:
    assert_frozen("exit_codes", [f"{code.value:3} {code.name}" for code in ExitCode])


def test_the_printer_columns_stay() -> None:
    from deepsynth_api.crd.schema import build_crd
    from deepsynth_api.kinds import KINDS

    versions = [(kind, build_crd(kind)["spec"]["versions"][0]) for kind in KINDS]
    columns = [(kind, column) for kind, version in versions for column in version["additionalPrinterColumns"]]
    lines = [f"{kind} {column['name']}: {column['jsonPath']} ({_describe(column)})" for kind, column in columns]
    assert_frozen("printer_columns", lines)


def _describe(column: dict[str, Any]) -> str:
    return f"{column['type']}, only with -o wide" if column["priority"] else str(column["type"])


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse prints options differently since Python 3.13")
def test_the_help_of_the_commands_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsynth.command_line.parser import build_parser

    monkeypatch.setenv("COLUMNS", "100")
    helps = [f"$ {parser.prog} --help\n{parser.format_help()}" for parser in list_parsers(build_parser())]
    assert_frozen("cli_help", "\n".join(helps).splitlines())


def list_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser itself, and those of its subcommands at any depth."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from list_parsers(command)


def test_the_metrics_of_the_operator_stay() -> None:
    from deepsynth_generators.metric_reference import collect_operator_metrics

    assert_frozen("operator_metrics", list_series(collect_operator_metrics()))


def test_the_metrics_of_the_pods_stay() -> None:
    from deepsynth_api.report import PublishReport, RenderReport, Report
    from deepsynth_render.reporting.report import format_metrics

    now = datetime.now(UTC)
    render = Report(step="render", time=now, render=RenderReport(shard=0))
    publish = Report(step="publish", time=now, publish=PublishReport(uri="pvc://data/a"))
    texts = [read_train_metrics(), format_metrics(render), format_metrics(publish)]
    assert_frozen("pod_metrics", [line for text in texts for line in list_series(text)])


def read_train_metrics() -> str:
    """What the launcher of a training pod answers to GET /metrics once everything is known."""
    from deepsynth_api.report import Report, TrainReport
    from deepsynth_train.launcher.report_server import start_report_server

    numbers = {name: 1 for name, field in TrainReport.model_fields.items() if _is_number(field.annotation)}
    report = Report(step="train", time=datetime.now(UTC), train=TrainReport.model_validate(numbers))
    server = start_report_server("127.0.0.1:0", lambda: report)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/metrics", timeout=60) as answer:
            return str(answer.read().decode())
    finally:
        server.shutdown()
        server.server_close()


def _is_number(annotation: Any) -> bool:
    return annotation in (int, float, int | None, float | None)


def list_series(text: str) -> list[str]:
    """DeepSynth's series in the text that Prometheus scrapes, as `name{label,label} type`."""
    from prometheus_client.parser import text_string_to_metric_families

    parse: Callable[[str], Any] = text_string_to_metric_families
    return sorted(
        {
            f"{sample.name}{{{','.join(sorted(sample.labels))}}} {family.type}"
            for family in parse(text)
            for sample in family.samples
            if sample.name.startswith("deepsynth_")
        }
    )


def test_the_names_of_the_library_stay() -> None:
    import deepsynth_train

    assert_frozen("deepsynth_train", sorted(deepsynth_train.__all__))
