"""What the command prints at its end: where the results are, or what went wrong and what to do."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from deepsynth_api.counted import counted
from deepsynth_client.remedies import describe_retry, find_remedy
from deepsynth_client.report.metrics import LABELS, describe_rank, format_metric
from deepsynth_client.report.publication import explain_foreign_files
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import Manifest

_TAIL_LINES: Final = 12
_TAIL_BYTES: Final = 8192
_METRICS: Final = tuple(name for name in LABELS if name not in {"validation_rouge1", "validation_loss_black"})
"""Those printed; the report has the others."""
_FIELD: Final = re.compile(r"^spec\.datasets\[(.+?)\]:")
"""A dataset in the name of a sample."""
_TEXT_COLUMNS: Final = 38
"""Width of a written text and of its reference, side by side."""
_TEXT_LINES: Final = 8
"""Lines printed of a text; the report has the rest."""


def describe_result(resource: Manifest, runs: RunsFolder, *, interrupted: bool = False) -> str:
    """State and results of a resource that has not failed. interrupted: whether the command was, by Ctrl-C."""
    name = f"{resource['kind'].lower()}/{resource['metadata']['name']}"
    status = resource.get("status", {})
    results = [f"  {label}: {_resolve(uri, runs)}" for label, uri in _find_results(status)]
    dropped = (status.get("progress") or {}).get("dropped") or []
    output = status.get("output") or {}
    if dropped:
        path = output.get("droppedPath")
        counts = ", ".join(f"{item['rows']:,} {item['reason']}" for item in dropped)
        results.append(f"  dropped: {counts}" + (f"; {path} in it lists them" if path else ""))
    results += [f"  note: {note}" for note in [*(status.get("notes") or []), *_explain_foreign_files(output, runs)]]
    results += [*_describe_metrics(status.get("metrics") or []), *_describe_samples(status.get("samples") or [])]
    results += _describe_next(resource, runs)
    wait = "" if status.get("state") == "Complete" else _find_message(status, "Complete")
    if interrupted and status.get("state") == "Suspended":
        wait = "stopped by Ctrl-C; run the same command again to continue"  # the user has set no spec.suspend
    return "\n".join([f"{name} is {status.get('state', 'Pending')}" + (f": {wait}" if wait else ""), *results])


def describe_failure(resource: Manifest, runs: RunsFolder) -> str:
    """Why a resource failed or cannot continue, the end of its log, and what to do."""
    kind, name = resource["kind"].lower(), resource["metadata"]["name"]
    status = resource.get("status", {})
    if status.get("state") != "Failed":
        return f"{kind}/{name} cannot continue: {_find_message(status, 'Complete')}"
    lines = [f"{kind}/{name} failed: {_find_message(status, 'Failed')}"]
    if "HF_TOKEN" in lines[0]:
        lines.append("  without a cluster, Secrets come from your environment: export HF_TOKEN=hf_...")
    log = find_log(status, runs)
    if log is not None:
        lines += [f"  log: {log}", *(f"  | {line}" for line in read_tail(log))]
    if remedy := find_remedy(resource):
        lines.append(f"  {remedy}")
    delete = f"deepsynth delete {kind} {name}{runs.option}"
    lines.append(f"  {describe_retry(resource, delete, apply='run this command again')}")
    return "\n".join(lines)


def find_log(status: Mapping[str, Any], runs: RunsFolder) -> Path | None:
    """The log of the pod that failed last; if status names a failed shard, of that shard."""
    entries = status.get("attempts") or status.get("jobs") or []
    if not entries:
        return None
    job = entries[-1].get("job") or entries[-1].get("name")
    shard = status.get("lastFailure", {}).get("index")
    pods = "*" if shard is None else f"{shard - entries[-1].get('firstShard', 0)}-*"
    logs = [*runs.path.glob(f"logs/{job}-{pods}.log")]
    return max(logs, key=lambda file: file.stat().st_mtime_ns, default=None)


def read_tail(log: Path) -> list[str]:
    """The last lines of a log file."""
    return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()[-_TAIL_LINES:]


def _find_results(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    best, output = status.get("bestCheckpoint"), status.get("output")
    if best:
        rank = describe_rank(*(best.get(field, "") for field in ("metric", "value", "loss")))
        yield f"best checkpoint (step {best['step']}, validation {rank or 'loss unknown'})", best["uri"]
    newest = next(iter(status.get("checkpoints", [])), None)
    if newest and newest["step"] != (best or {}).get("step"):
        yield f"newest checkpoint (step {newest['step']})", newest["uri"]
    if output and "rows" in output:
        yield f"dataset of {counted(output['rows'], 'document')} on {counted(output['pages'], 'page')}", output["uri"]
    elif output:
        yield f"model (step {output['step']})" if output.get("step") else "model", output["uri"]


def _explain_foreign_files(output: Mapping[str, Any], runs: RunsFolder) -> list[str]:
    """Of a published dataset in a folder of this machine."""
    folder = runs.find_real_folder(output["uri"]) if "manifestSha256" in output else None
    foreign = explain_foreign_files(folder, output["manifestSha256"]) if folder else ""
    return [foreign] if foreign else []


def _describe_metrics(metrics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    values = {metric["name"]: float(metric["value"]) for metric in metrics}
    parts = [f"{LABELS[name]} {format_metric(name, values[name])}" for name in _METRICS if name in values]
    if parts:
        yield "  validation: " + ", ".join(parts)


def _describe_samples(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each reference next to what the model wrote."""
    for sample in samples:
        yield f"  {_name_sample(sample['name'])}"
        columns = [["expected", *_wrap(sample["reference"])], ["the model wrote", *_wrap(sample["written"])]]
        for left, right in zip_longest(*columns, fillvalue=""):
            yield f"    {left:<{_TEXT_COLUMNS}} | {right}".rstrip()


def _name_sample(name: str) -> str:
    """`docstrings, row 3 of the validation split`, without the field of the spec."""
    return _FIELD.sub(r"\1,", name)


def _wrap(text: str) -> list[str]:
    """Lines for a column. Control characters, which a model may write, become a replacement character."""
    lines = [
        "".join(char if char.isprintable() else "\ufffd" for char in line) for line in text.strip("\n").split("\n")
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, _TEXT_COLUMNS) or [""]]
    return wrapped if len(wrapped) <= _TEXT_LINES else [*wrapped[: _TEXT_LINES - 1], "..."]


def _describe_next(resource: Manifest, runs: RunsFolder) -> Iterator[str]:
    """The command that reads pages with a trained model."""
    output = resource.get("status", {}).get("output")
    if resource["kind"] == "TrainingRun" and output:
        together = " --document" if resource.get("spec", {}).get("task") == "summarize" else ""
        yield f"  to use the model: deepsynth predict{together} {_resolve(output['uri'], runs)} FILE..."


def _resolve(uri: str, runs: RunsFolder) -> str:
    """The folder of a URI, relative to the current one if it is inside; a URI on the Hub as it is."""
    folder = runs.find_folder(uri)
    return uri if folder is None else runs.shorten(folder)


def _find_message(status: Mapping[str, Any], kind: str) -> str:
    return next((str(item.get("message", "")) for item in status.get("conditions", []) if item["type"] == kind), "")
