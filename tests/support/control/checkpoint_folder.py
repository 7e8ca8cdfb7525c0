"""The checkpoint folder of a run on the simulator: which container may save to it, as owner.json decides."""

from dataclasses import dataclass, field

from deepsynth_api.workload import DOCUMENT_PATH, JOB_UID_VARIABLE, TrainWorkload
from deepsynth_train.checkpoint.owner import Owner
from support.cluster.scripted_runner import ScriptedPod


@dataclass
class ModelledFolder:
    """commits: the uids of the Jobs that have saved, in order, each once in a row."""

    owner: Owner | None = None
    commits: list[str] = field(default_factory=list)
    _owners: dict[str, Owner] = field(default_factory=dict)
    """Of each container that has tried to claim the folder, by the uid of its pod."""

    def save(self, pod: ScriptedPod) -> bool:
        """Whether the container may save: it claims the folder once, and must still own it at each commit."""
        uid = pod.pod["metadata"]["uid"]
        if uid not in self._owners:
            self._owners[uid] = find_owner(pod)
            if self.owner is None or self._owners[uid].may_follow(self.owner):
                self.owner = self._owners[uid]
        if self.owner != self._owners[uid]:
            return False
        if self.owner.job_uid not in self.commits[-1:]:
            self.commits.append(self.owner.job_uid)
        return True


def find_owner(pod: ScriptedPod) -> Owner:
    """What the container knows of itself."""
    (document,) = (data for data in pod.config_maps.values())
    workload = TrainWorkload.parse(document[DOCUMENT_PATH.rpartition("/")[2]])
    return Owner(workload.uid, workload.fingerprint, workload.attempt, pod.get_env().get(JOB_UID_VARIABLE, ""))
