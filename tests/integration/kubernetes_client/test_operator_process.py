"""The whole operator against an API server that can be watched: start, work, faults, shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client.configuration import Configuration

from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.reports.report_reader import ReportReader
from deepsynth_operator.kubernetes.watches.first_listing import LATER_RETRY_SECONDS
from deepsynth_operator.process.metrics import Metrics
from deepsynth_operator.process.settings import ProcessSettings
from deepsynth_operator.process.startup import Operator
from integration.kubernetes_client.fake_watches import WatchedApiServer, serve_in_a_thread
from support.cluster.fake_api_server import Fault
from support.control.outage import Outage, get_namespace
from support.resources.builders import a_training_run

WATCHES = 4


class Running:
    """A running operator. `stop` ends it as SIGTERM does."""

    def __init__(self, server: WatchedApiServer, stop: asyncio.Event, task: asyncio.Task[None]) -> None:
        self.server, self.stop, self.task = server, stop, task

    async def wait_until(self, check: Callable[[], object], seconds: float = 600) -> None:
        async with asyncio.timeout(seconds):
            while not check():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.02)

    async def apply(self, name: str = "read-xsum", namespace: str = "default") -> None:
        """Create a run, and wait for its Job."""
        run = a_training_run(name).named(name, namespace, uid=f"uid-of-{name}")
        self.server.put(run.to_manifest())
        await self.wait_until(lambda: self.server.get("Job", f"{name}-train-1", namespace))

    def get_status(self, name: str = "read-xsum") -> dict[str, Any]:
        status: dict[str, Any] = (self.server.get("TrainingRun", name) or {}).get("status", {})
        return status


def operate(
    script: Callable[[Running], Awaitable[None]],
    *,
    prepare: Callable[[WatchedApiServer], object] = lambda _server: None,
    token: str = "",
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    **settings: Any,
) -> None:
    """Run an operator while `script` acts on its API server, then stop it. prepare: called before it starts."""

    async def main(server: WatchedApiServer) -> None:
        metrics = Metrics()
        api, reports = ApiServer(build_configuration(server), metrics.count_request), ReportReader(metrics.count_poll)
        process = ProcessSettings(**{"http_host": "127.0.0.1", "http_port": 0, "shutdown_seconds": 2, **settings})
        stop = asyncio.Event()
        task = asyncio.create_task(Operator(api, reports, metrics, Settings(), process, pause=pause).run(stop))
        try:
            await script(Running(server, stop, task))
        finally:
            stop.set()
            await asyncio.wait({task})
            await reports.close()
            await api.close()
        task.result()

    with serve_in_a_thread(WatchedApiServer) as server:
        server.token = token
        prepare(server)
        asyncio.run(main(server))


def build_configuration(server: WatchedApiServer) -> Configuration:
    """Its token is always the one that the server expects, as a service account's file is kept up to date."""
    configuration = Configuration(host=f"http://127.0.0.1:{server.port}")

    async def refresh(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"bearer {server.token}"

    configuration.api_key["BearerToken"] = "bearer none"
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]  # the library's own type is None
    return configuration


def test_a_run_gets_a_job_and_only_its_status_is_written() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        await running.apply()
        await running.wait_until(lambda: running.get_status().get("state") == "Starting")
        metadata = (running.server.get("TrainingRun", "read-xsum") or {})["metadata"]
        assert metadata.keys() & {"annotations", "finalizers"} == set()
        writes = {(seen.method, seen.path) for seen in running.server.requests if seen.method != "GET"}
        on_the_run = [(method, path) for method, path in writes if "/trainingruns/" in path]
        assert on_the_run == [("PUT", "/apis/deepsynth.io/v1alpha1/namespaces/default/trainingruns/read-xsum/status")]

    operate(script)


def test_a_run_that_existed_before_the_start_gets_a_job() -> None:
    async def script(running: Running) -> None:
        running.server.put(a_training_run().to_manifest())
        await running.wait_until(lambda: running.server.get("Job", "read-xsum-train-1"))

    operate(script)


def test_changed_defaults_are_those_of_the_next_job(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text("- template: {schedulerName: first}")

    async def pause(_: float) -> None:
        await asyncio.sleep(0.05)

    def get_scheduler(running: Running, name: str) -> Any:
        job = running.server.get("Job", f"{name}-train-1") or {}
        return job["spec"]["template"]["spec"]["schedulerName"]

    async def script(running: Running) -> None:
        await running.apply("before")
        path.write_text("- template: {schedulerName: second}")
        for number in range(600):
            await running.apply(f"after-{number}")
            if get_scheduler(running, f"after-{number}") == "second":
                break
            await asyncio.sleep(0.1)
        assert get_scheduler(running, f"after-{number}") == "second"
        assert get_scheduler(running, "before") == "first"

    operate(script, pause=pause, job_defaults=path)


def test_after_an_hour_down_every_run_gets_right_and_finished_ones_cost_no_request() -> None:
    outage = Outage(runs=5)
    outage.begin()
    outage.pass_hour()
    states = {
        "running": "Running",
        "succeeded": "Complete",
        "failed": "Starting",
        "bad-config": "Failed",
        "evicted": "Starting",
        "job-deleted": "Starting",
        "deadline": "Failed",
        "suspended": "Suspended",
        "kept": "Complete",
        "new": "Starting",
    }
    expected = {name: state for situation, state in states.items() for name in outage.list_names(situation)}

    def prepare(server: WatchedApiServer) -> None:
        for kind in ("TrainingRun", "Job", "Pod", "ConfigMap", "Service"):
            for item in outage.cluster.store.select(kind):
                server.put(item)

    async def script(running: Running) -> None:
        def is_right(name: str, state: str) -> bool:
            found = running.server.get("TrainingRun", name, get_namespace(name)) or {}
            return bool(found.get("status", {}).get("state") == state)

        def find_expired() -> list[str]:
            return [name for name in outage.list_names("expired") if find_job(running.server, name)]

        await running.wait_until(lambda: all(is_right(*item) for item in expected.items()) and not find_expired())
        asked = [seen.path for seen in running.server.requests]
        assert [path for path in asked if "/kept-" in path] == []
        second = [name for situation in ("failed", "evicted", "job-deleted") for name in outage.list_names(situation)]
        await running.wait_until(lambda: all(find_job(running.server, name, 2) for name in second))
        for name in outage.list_names("failed"):
            status = (running.server.get("TrainingRun", name, get_namespace(name)) or {})["status"]
            assert (status["failures"], len(status["attempts"])) == (1, 2)

    def find_job(server: WatchedApiServer, name: str, attempt: int = 1) -> object:
        return server.get("Job", f"{name}-train-{attempt}", get_namespace(name))

    operate(script, prepare=prepare)
    outage.close()


def test_lists_and_watches_select_only_our_children() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        for plural in ("jobs", "pods"):
            asked = [seen for seen in running.server.requests if seen.path.endswith(f"/{plural}")]
            selectors = {seen.query["labelSelector"] for seen in asked}
            assert selectors == {"app.kubernetes.io/managed-by=deepsynth-operator"}

    operate(script)


def test_only_the_configured_namespaces_are_watched() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == 2 * WATCHES)
        running.server.put(a_training_run("elsewhere").named("elsewhere", "c", uid="e").to_manifest())
        await running.apply("here", "b")
        assert running.server.get("Job", "elsewhere-train-1", "c") is None
        assert {seen.path for seen in running.server.requests if seen.path.endswith("/pods")} == {
            "/api/v1/namespaces/a/pods",
            "/api/v1/namespaces/b/pods",
        }

    operate(script, namespaces=("a", "b"))


def test_a_namespace_without_a_role_does_not_delay_the_others() -> None:
    async def pause(seconds: float) -> None:
        await asyncio.sleep(0.2 if seconds == LATER_RETRY_SECONDS else seconds)

    async def script(running: Running) -> None:
        running.server.faults = [Fault(403, path="/namespaces/a/")] * 999
        await running.wait_until(lambda: running.server.watches == WATCHES)
        await running.apply("here", "b")
        running.server.faults = []
        await running.wait_until(lambda: running.server.watches == 2 * WATCHES)
        await running.apply("there", "a")

    operate(script, pause=pause, namespaces=("a", "b"))


def test_nothing_is_decided_in_a_namespace_whose_children_are_not_listed() -> None:
    async def script(running: Running) -> None:
        running.server.put(a_training_run().named("there", "a", uid="t").to_manifest())
        running.server.faults = [Fault(403, path="/namespaces/a/pods")] * 999
        await running.apply("here", "b")
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.put(a_training_run().named("there", "a", uid="t").labelled({"team": "x"}).to_manifest())
        await running.apply("after", "b")
        writes = [seen.path for seen in running.server.requests if seen.method != "GET"]
        assert [path for path in writes if "/namespaces/a/" in path] == []

    operate(script, namespaces=("a", "b"))


def test_a_finalizer_of_another_operator_is_kept_and_blocks_nothing() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        finalizers = ["example.com/other"]
        run = a_training_run().with_metadata(finalizers=finalizers).to_manifest()
        running.server.put(run)
        await running.wait_until(lambda: running.get_status().get("state") == "Starting")
        running.server.put({**run, "spec": {**run["spec"], "suspend": True}, "status": running.get_status()})
        await running.wait_until(lambda: running.get_status().get("state") == "Suspended")
        assert (running.server.get("TrainingRun", "read-xsum") or {})["metadata"]["finalizers"] == finalizers
        assert not [seen for seen in running.server.requests if seen.method == "PATCH" and "trainingruns" in seen.path]

    operate(script)


def test_a_broken_watch_is_opened_again() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.break_watches()
        running.server.faults = [Fault(500, path="/trainingruns"), Fault(403, path="/jobs"), Fault(429, path="/pods")]
        await running.wait_until(lambda: running.server.watches == WATCHES and not running.server.faults)
        await running.apply()

    operate(script)


def test_requests_and_watches_use_a_replaced_token() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.token = "second"
        running.server.break_watches()
        await running.wait_until(lambda: running.server.watches == WATCHES)
        await running.apply()

    operate(script, token="first")


def test_a_running_reconcile_ends_before_the_operator_does() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.faults = [Fault(method="POST", path="/jobs", seconds=1)]
        running.server.put(a_training_run().to_manifest())
        await running.wait_until(lambda: not running.server.faults)
        running.stop.set()
        await asyncio.wait({running.task})
        assert running.server.get("Job", "read-xsum-train-1") is not None

    operate(script, shutdown_seconds=600)


def test_a_reconcile_that_outlasts_the_shutdown_time_is_cancelled() -> None:
    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.faults = [Fault(method="POST", path="/jobs", seconds=3600)] * 99
        running.server.put(a_training_run().to_manifest())
        await running.wait_until(lambda: len(running.server.faults) < 99)
        running.stop.set()
        async with asyncio.timeout(600):
            await asyncio.wait({running.task})

    operate(script)


def test_the_operator_can_be_stopped_while_it_waits_for_the_crds() -> None:
    async def script(running: Running) -> None:
        running.server.faults = [Fault(404, path="/datasetgenerations")] * 99
        await running.wait_until(lambda: len(running.server.faults) < 99)
        running.stop.set()
        async with asyncio.timeout(600):
            await asyncio.wait({running.task})

    operate(script)


def test_a_defect_in_a_part_that_should_run_forever_ends_the_operator() -> None:
    async def fail(_: float) -> None:
        await asyncio.sleep(0.5)
        raise ZeroDivisionError

    async def script(running: Running) -> None:
        await asyncio.wait({running.task}, timeout=600)
        assert running.task.done()

    with pytest.raises(ZeroDivisionError):
        operate(script, pause=fail)


def test_a_watch_to_which_the_api_server_sends_an_error_is_opened_again() -> None:
    def count_opened(running: Running) -> int:
        return sum("watch" in seen.query for seen in running.server.requests)

    async def script(running: Running) -> None:
        await running.wait_until(lambda: running.server.watches == WATCHES)
        running.server.fail_watches(500, "no leader")
        await running.wait_until(lambda: count_opened(running) == 2 * WATCHES)
        await running.apply()

    operate(script)
