"""A Kubernetes in one process: object store, Job controller, garbage collector, scheduler and kubelet.

`deepsynth local` runs on it, and tests use it as the double of a cluster. It follows what real clusters were recorded
to do (tests/fixtures/job_events). How a container runs is the caller's: see `pod_runner`. It imports the `core` of the
operator and `deepsynth_api`, nothing else of ours.
"""
