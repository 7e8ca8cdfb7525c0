"""Pure: a resource and what status decided -> its children as whole literal dicts. No I/O, no clock.

names.build_job_name(resource, step, number)         what goes into Attempt.job and ChildJob.name
train_job.build_train_children(run, attempt)         [ConfigMap, Service, Job] of one attempt
render_job.build_render_children(generation, job)    [ConfigMap, Job] of plan, render or publish

`resource` carries the status in which the Job was decided on: its pinned inputs and its plan go into the document.
Children come in the order in which they are to be created, with ownerReferences and labels; a Job's ConfigMap and
Service have its name. The builders raise ConfigurationError, naming the field, where the spec cannot become a pod: that
is for ever, so it ends the resource as Failed.
"""
