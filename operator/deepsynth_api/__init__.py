"""The contract between users, the operator and the containers.

It holds the resources (`v1alpha1`, `kinds`), what they carry (`conditions`, `reasons`, `labels`), what operator and
containers pass to each other (`workload`, `report`, `errors`, `exit_codes`),
small things that both need (`delays`, `presets`), and the CRDs built from it (`crd`).
Not here: I/O, a Kubernetes client, and code that only the operator or only a container needs.
"""
