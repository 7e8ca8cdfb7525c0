"""Containers for tests of `deepsynth local` that end in milliseconds: modules with the names of the real ones. They do
what the variables FAKE_PLAN, FAKE_RENDER, FAKE_PUBLISH and FAKE_TRAIN say:

    ok          do the step and report it
    64, 75 ...  report a failure and exit with that code
    kill-once   die by SIGKILL the first time, then ok
    wait        until SIGTERM, then exit 143
    stubborn    wait, and ignore SIGTERM
    wait-once   wait the first time, then ok
"""

import os
from pathlib import Path

import pytest

_SOURCE = """
import json, os, pathlib, signal, sys, time
step = sys.argv[1] if sys.argv[1] in ("plan", "render", "publish") else "train"
document = json.loads(pathlib.Path(sys.argv[-1]).read_text())
volumes = pathlib.Path(os.environ["DEEPSYNTH_VOLUMES"])
behaviour = os.environ.get(f"FAKE_{step.upper()}", "ok")
report = {"step": step, "time": "2026-01-01T00:00:00Z"}
first = volumes / f"{document['name']}-{step}-was-here"
seen_before = first.exists()
first.touch()
print(f"{step} of {document['name']}: {behaviour}", flush=True)

def end(code, **parts):
    pathlib.Path(os.environ["DEEPSYNTH_TERMINATION_LOG"]).write_text(json.dumps({**report, **parts}))
    sys.exit(code)

if behaviour == "kill-once" and not seen_before:
    os.kill(os.getpid(), signal.SIGKILL)
if behaviour == "wait" or (behaviour == "wait-once" and not seen_before):
    signal.signal(signal.SIGTERM, lambda *_: end(143))
    (volumes / "waiting").touch()
    time.sleep(3600)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (volumes / "waiting").touch()
    time.sleep(3600)
if behaviour.isdigit():
    code = int(behaviour)
    reason = {64: "BadConfiguration", 65: "BadData", 75: "HubUnavailable"}.get(code, "Defect")
    end(code, failure={"reason": reason, "message": f"{step} is wrong; fix it", "exitCode": code})
if step == "plan":
    splits = [{"name": "train", "rows": 10}]
    end(0, plan={"revision": "r", "digest": "d" * 64, "splits": splits, "shards": 2, "rowsRead": 10})
if step == "render":
    shard = int(os.environ["JOB_COMPLETION_INDEX"])
    end(0, render={"shard": shard, "documentsTotal": 5, "documents": 5, "pages": 7, "bytes": 100})
if step == "publish":
    totals = {"rows": 10, "pages": 14, "bytes": 200, "manifestSha256": "f" * 64}
    end(0, publish={"uri": document["output"]["uri"], "revision": "c" * 40, **totals})
saved = {"step": 4, "uri": document["checkpoint"]["uri"] + "/step-4", "time": "2026-01-01T00:00:00Z", "loss": "1.5"}
train = {"attempt": document["attempt"], "phase": "done", "step": 4, "totalSteps": 4, "loss": 1.25, "savedStep": 4}
output = {"uri": document["outputUri"]}
end(0, train={**train, "checkpoints": [saved], "bestCheckpoint": saved, "output": output})
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **behaviours: str) -> None:
    """Let every pod import the fakes instead of the real modules. behaviours: plan="64", train="wait" and so on."""
    for module in ("deepsynth_render", "deepsynth_train"):
        (folder / module).mkdir(parents=True, exist_ok=True)
        (folder / module / "__init__.py").touch()
        (folder / module / "__main__.py").write_text(_SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    for step in ("plan", "render", "publish", "train"):
        monkeypatch.setenv(f"FAKE_{step.upper()}", behaviours.get(step, "ok"))
