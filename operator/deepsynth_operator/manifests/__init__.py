"""Builds the children of a resource: Jobs, ConfigMaps, Services, NetworkPolicies, as dicts of the Kubernetes API.

    children.build_children(resource, job, settings)     -> all that a Job needs, in order
    train_job.build_train_children(run, attempt)         -> [ConfigMap, Service, Job] of one attempt
    render_job.build_render_children(generation, job)    -> [ConfigMap, Job] of plan, render or publish
    names.build_job_name(resource, step, number)         -> the name of all of these, as in Attempt.job, ChildJob.name

Pure functions of the resource and its status (pinned inputs, plan): no I/O, no clock, so tests compare manifests with
golden files. When to create or delete a child is decided in `decisions`; `controller` does it. Children come in the
order in which they must be created. The builders raise ConfigurationError, naming the field, where the spec cannot
become a pod; a retry would not help, so the resource becomes Failed.
"""
