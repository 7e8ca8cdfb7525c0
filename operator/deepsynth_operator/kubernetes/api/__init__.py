"""How this process talks to an API server: login, paths, requests, and the permissions that it needs.

One request here is one HTTP request, and its refusal keeps status, reason and fields. What a refusal means for a
resource is decided in `kubernetes_cluster`.
"""
