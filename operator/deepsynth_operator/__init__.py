"""The operator on a cluster.

    process      one running operator: startup, health, metrics, logs
    kubernetes   everything that talks to an API server or to pods
    controller   work queue and reconcile: gather, decide, write, act
    decisions    pure: (observed, settings, now) -> what to do
    manifests    pure: resource -> Jobs, ConfigMaps, Services
    core         the vocabulary that all of them share

Imports only point down. Nothing here imports a workload: the operator and its containers share only `deepsynth_api`.
"""
