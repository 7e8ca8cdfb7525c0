"""A Kubernetes in one process: what `deepsynth local` runs on, and the double of a cluster in tests.

It follows what real clusters were recorded to do (tests/fixtures/job_events). Admission of resources, processes and
everything about DeepSynth's own decisions belong elsewhere: this package imports `deepsynth_api` and the `core` of the
operator, nothing else of ours.

    operator's controller                                      PodRunner: local processes, or a test's script
      |  create, patch_job,   ^ get, list_*                      ^ start(pod), stop(pod)   | PodListener: started,
      |  write_status         | (ClusterView: the cache)         |                         v waiting, ended
    +-v-----------------------+----------------------------------+---------------------------------------------+
    | MemoryCluster           |                                  |                                             |
    |   ObjectStore --WatchEvent--> JobController            Kubelet          GarbageCollector                 |
    |       ^                       Jobs -> pods, conditions pods -> phases   owner gone -> dependents deleted |
    |       +---- create, update, delete ----+-------------------+------------------+                          |
    +----------------------------------------------------------------------------------------------------------+

`job_sync` decides what a Job needs (pure), `job_controller` carries it out.

After every call `MemoryCluster.settle` lets the three controllers act in turn until none of them has anything to do.
"""
