"""The control loop: a work queue hands out keys of resources, and a reconcile brings one resource a step forward.

    work_queue -> controller (limits the time, counts) -> reconcile -> gather -> decisions -> Cluster

This package does things in order; it does not know why. What to do is decided in `decisions`, what children look like
is in `manifests`, and the cluster is only seen through the protocol in `core`, so the same code runs on an API server
and on the simulator.
"""
