"""The contract: resources, conditions, labels, workload documents, reports, exit codes, and the CRD generator.

What does not belong here: kopf, a Kubernetes client, any I/O, anything that only one side needs.
"""
