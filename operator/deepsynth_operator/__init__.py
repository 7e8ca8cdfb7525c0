"""The controller on a cluster.

Layers, from the bottom: `core` (vocabulary), `manifests` and `decisions` (pure), `controller` (gather, decide, write),
`kubernetes` (everything that talks to an API server), `process` (one running operator). Imports only point down.
Nothing here imports a workload: the operator and its containers share `deepsynth_api` only.
"""
