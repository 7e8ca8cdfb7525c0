"""Resources in a namespace of a cluster. The Kubernetes client library is imported here only.

    kubeconfig.py       which cluster and namespace: the context, or the service account of this pod
    api.py              requests, streams, and refusals as errors with a remedy
    namespace.py        Resources
    watching.py         a watch without gaps: dropped connections, versions that are too old
    pod_logs.py         logs that follow across dropped connections
    volume_pods.py      Files: short-lived pods that read and remove files of volumes

The operator has a client of its own, for thousands of objects; this one serves one user.
"""
