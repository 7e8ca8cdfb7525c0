"""Where a command finds its resources: in a namespace of a cluster, or in a folder of this machine.

--local, --runs FOLDER          the folder
--context, --namespace          the cluster
neither                         the folder, if the current one has deepsynth-runs; else the cluster of the
                                kubeconfig's current context; else the folder
kubectl deepsynth               the cluster, unless --local
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from deepsynth_client.cluster.kubeconfig import find_current_context
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Resources
from deepsynth_client.manifest_file import ParsedManifest
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS, RunsFolder

PLUGIN: Final = "kubectl deepsynth"
Place = Literal["cluster", "folder"]


@dataclass(frozen=True)
class Choice:
    """What the command line says. Empty: not given."""

    local: bool = False
    runs: str = ""
    context: str = ""
    namespace: str = ""

    @property
    def options(self) -> str:
        """The same as words for another command, with a space before them."""
        given = {"--runs": self.runs, "--context": self.context, "--namespace": self.namespace}
        words = [" --local"] if self.local else []
        return "".join([*words, *(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)])


def choose(choice: Choice, *, is_plugin: bool, has_runs: bool, has_cluster: bool) -> Place:
    """Raises InvalidError when the options contradict each other."""
    if (choice.local or choice.runs) and choice.context:
        raise InvalidError("--context: cannot be used with --local or --runs; remove one of them")
    if choice.local or choice.runs:
        return "folder"
    if choice.context or choice.namespace or is_plugin:
        return "cluster"
    return "cluster" if has_cluster and not has_runs else "folder"


def open_resources(choice: Choice, *, is_plugin: bool = False) -> Resources:
    """Raises ClientError."""
    has_runs, has_cluster = Path(DEFAULT_RUNS).is_dir(), bool(find_current_context())
    if choose(choice, is_plugin=is_plugin, has_runs=has_runs, has_cluster=has_cluster) == "folder":
        from deepsynth_local.local_resources import LocalResources

        return LocalResources(RunsFolder(Path(choice.runs or DEFAULT_RUNS).resolve()), choice.namespace)
    from deepsynth_client.cluster.api import Api  # slow to import, and a folder does not need it
    from deepsynth_client.cluster.kubeconfig import log_in
    from deepsynth_client.cluster.namespace import ClusterResources

    return ClusterResources(Api(log_in(choice.context, choice.namespace)), _check_fields)


def _check_fields(parsed: ParsedManifest) -> None:
    from deepsynth_local.admission.problems import check_fields  # slow to import: jsonschema

    check_fields(parsed)
