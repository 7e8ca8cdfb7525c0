"""Everything that talks to an API server or to pods.

    kubernetes_cluster   implements the Cluster protocol with the four below
      resource_cache       what the watches reported
      api_server           every request: credentials, timeouts, retries (api_login, api_paths)
      report_poller        what pods reported last, polled in the background
        report_reader        GET /report of pods
      event_recorder       Events, rate limited
    kopf_watches         kopf's handlers and settings; they call watch_events: update the cache, queue the resource
    first_listing        fills the cache before anything is decided
    watch_audit          finds watches that have stopped reporting
    permissions          the rights that all of this needs

Nothing here decides anything about a resource. The Kubernetes client is imported only in `api_login` and `api_server`,
kopf only in `kopf_watches`.
"""
