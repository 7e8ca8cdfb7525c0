"""Everything that talks to an API server or to pods: requests, login, watches, cache, Events, reports, permissions.

The Kubernetes client is imported in `api_login` and `api_server` only, kopf in `handlers` and `kopf_settings`. Nothing
here decides anything about a resource.
"""
