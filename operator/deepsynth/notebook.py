"""Client: the verbs for notebooks and scripts, with resources as the API's own types.

from deepsynth import Client
from deepsynth_api.v1alpha1 import TrainingRun

client = Client(namespace="team-a")              # or Client(local=True)
client.apply("training-run.yaml")
run = client.wait("read-xsum")                   # a progress bar
print(run.status.metrics)
client.report("read-xsum")                       # shown in the notebook
texts = client.load_model("read-xsum").read(["page.png"])
"""

import html
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth.place import Choice, open_resources
from deepsynth.verbs.apply import check_manifest, read_files
from deepsynth.verbs.get import Query, find_resources, format_tables
from deepsynth.verbs.lifecycle import delete_resources
from deepsynth.verbs.logs import LogQuery, read_logs
from deepsynth.verbs.names import find_one, format_short_name
from deepsynth.verbs.reporting import build_page
from deepsynth.verbs.waiting import OnChange, conclude, wait_for
from deepsynth_api.kinds import KINDS
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_client.errors import ClientError, CommandExit, NotFoundError
from deepsynth_client.interface import Manifest, Selection, is_object
from deepsynth_client.manifest_file import ParsedManifest
from deepsynth_client.progress import get_percentage, has_ended

Resource = DatasetGeneration | TrainingRun
_HUB = re.compile(r"hf://(?:models/)?([^/@]+/[^/@]+)")


@dataclass(frozen=True)
class Page:
    """An HTML page that a notebook shows. html: to write to a file."""

    html: str

    def _repr_html_(self) -> str:
        """In a frame of its own, so that its style does not change the notebook."""
        return f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:45em;border:0"></iframe>'


class Listing(list[Resource]):
    """Resources that a notebook shows in the columns of `deepsynth get`."""

    def __init__(self, found: Sequence[Manifest]) -> None:
        super().__init__(map(_build, found))
        self._text = format_tables(found, Query())

    def __repr__(self) -> str:
        return self._text or "no resources"


class Client:
    """Without arguments, the place that the `deepsynth` command would choose: docs/reference/cli.md.

    NAME of its methods is a name, or KIND/NAME if both kinds have a resource of this name. Errors are ClientErrors.
    """

    def __init__(self, *, local: bool = False, runs: str | Path = "", context: str = "", namespace: str = "") -> None:
        self._resources = open_resources(Choice(local, str(runs), context, namespace))

    @property
    def place(self) -> str:
        """Where the resources are."""
        return self._resources.place

    def apply(self, *resources: Resource | Mapping[str, Any] | str | Path, force: bool = False) -> Listing:
        """Create resources or change their specs: objects of deepsynth_api.v1alpha1, dicts, or files."""
        parsed = [item for resource in resources for item in _parse(resource)]
        return Listing([stored for stored, _ in self._resources.apply(parsed, force=force)])

    def get(self, name: str) -> Resource:
        """Raises NotFoundError."""
        return _build(find_one(self._resources, [name]))

    def list(self, kind: str = "all", *, labels: str = "", fields: str = "") -> Listing:
        """kind: trun, dsg or all. labels and fields: selectors as kubectl takes them."""
        query = Query([kind], Selection(labels, fields))
        return Listing(find_resources(self._resources, query))

    def wait(self, name: str, *, timeout: float | None = None, progress: bool = True) -> Resource:
        """The resource when it is complete. timeout: in seconds. Raises ClientError when it has failed."""
        with _show_progress(is_shown=progress) as on_change:
            found = find_one(self._resources, [name])
            done = wait_for(self._resources, found, has_ended, seconds=timeout, on_change=on_change, on_silence=print)
        line, code = conclude(done)
        if code != CommandExit.DONE:
            raise ClientError(line)
        return _build(done)

    def logs(
        self,
        name: str,
        *,
        rank: int | None = None,
        attempt: int | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> Iterator[str]:
        """The lines that one process printed: of the last attempt the one that failed first, else rank 0."""
        found = find_one(self._resources, [name])
        return read_logs(self._resources, found, LogQuery(attempt, previous, rank, follow), lambda _: None)

    def suspend(self, name: str) -> None:
        """Save and stop."""
        self._set_suspend(name, suspend=True)

    def resume(self, name: str) -> None:
        self._set_suspend(name, suspend=False)

    def delete(self, name: str, *, data: bool = False) -> None:
        """data: also what it wrote to volumes and object stores, without a question."""
        for _ in delete_resources(self._resources, [name], with_data=data, ask=lambda _: True):
            pass

    def report(self, *names: str) -> Page:
        """A page with curves, samples, attempts and checkpoints."""
        return Page(build_page(self._resources, [find_one(self._resources, [name]) for name in names], warnings.warn))

    def load_model(self, name: str, **options: Any) -> Any:
        """The model of a TrainingRun, to read pages with: deepsynth_train.load_model, which has the options."""
        found = find_one(self._resources, [name])
        output = found.get("status", {}).get("output") or {}
        if found["kind"] != "TrainingRun" or not output:
            raise NotFoundError(f"{format_short_name(found)} has no model yet; it is there when the run is Complete")
        from deepsynth_train import load_model

        if hub := _HUB.match(output["uri"]):
            return load_model(hub[1], **{"revision": output.get("revision"), **options})
        if is_object(output["uri"]):  # with the keys of this process's environment
            return load_model(output["uri"], **options)
        folder = self._resources.open_files(found).find_folder(output["uri"])
        if folder is None:
            raise NotFoundError(
                f"{output['uri']} is not on this machine; set spec.publish.uri to a repository on the Hub, or run this "
                "in a pod that mounts the claim as the run's pods do"
            )
        return load_model(folder, **options)

    def _set_suspend(self, name: str, *, suspend: bool) -> None:
        found = find_one(self._resources, [name])
        self._resources.suspend(found["kind"], found["metadata"]["name"], suspend=suspend)


def _parse(resource: Resource | Mapping[str, Any] | str | Path) -> "list[ParsedManifest]":
    if isinstance(resource, str | Path):
        return read_files([str(resource)])
    value = _write(resource) if isinstance(resource, DatasetGeneration | TrainingRun) else dict(resource)
    parsed = ParsedManifest(value, "resource")
    check_manifest(parsed)
    return [parsed]


def _write(resource: Resource) -> dict[str, Any]:
    """As a user would write it in a file: what was set, without defaults and status."""
    written = resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
    return {**written, "apiVersion": resource.api_version, "kind": resource.kind}


def _build(manifest: Manifest) -> Resource:
    built: Any = KINDS[manifest["kind"]].resource.model_validate(manifest)
    resource: Resource = built
    return resource


@contextmanager
def _show_progress(*, is_shown: bool) -> Iterator[OnChange]:
    """A bar in a notebook or a terminal, with the state and the columns that have a value."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns, disable=not is_shown) as bar:
        task = bar.add_task("waiting", total=100, text="")
        yield lambda resource: bar.update(
            task,
            completed=get_percentage(resource),
            description=resource["metadata"]["name"],
            text=_describe(resource),
        )


def _describe(resource: Manifest) -> str:
    status = resource.get("status", {})
    summary = status.get("summary") or {}
    parts = [status.get("state") or "Pending", summary.get("step") or summary.get("shards")]
    named = [f"{name} {summary[name]}" for name in ("loss", "eta") if summary.get(name)]
    return ", ".join(filter(None, [*parts, *named]))
