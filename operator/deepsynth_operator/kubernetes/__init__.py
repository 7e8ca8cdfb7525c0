"""Everything that talks to an API server or to pods.

    kubernetes_cluster   implements the Cluster protocol with what follows
    event_recorder       Events, rate limited
    watches/
      resource_cache       what the watches reported
      first_listing        fills the cache before anything is decided
      kind_watch           follows one kind; calls watch_events: update the cache, queue the resource
      watch_audit          finds watches that have stopped reporting
    reports/
      report_poller        what pods reported last, polled in the background
      report_reader        GET /report of pods
    api/
      api_server           every request: credentials, timeouts, retries (api_login, api_paths)
      permissions          the rights that all of this needs

Nothing here decides anything about a resource. The Kubernetes client is imported only in `api`.
"""
