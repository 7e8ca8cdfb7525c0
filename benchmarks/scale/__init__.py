"""What the controller costs and how long it takes with many resources: `make benchmark-operator`.

The control plane of the development cluster and the operator's process are real. Nodes and pods are not: `fake_kubelet`
writes the pods' status and answers their GET /report. Nothing here asserts; tests/e2e/api_server/test_scale.py does.
"""
