"""The control loop: a work queue hands out keys; a reconcile gathers, decides, writes the status once, then acts.

It sees the cluster only through the protocol in `core`, so it runs on an API server and on the simulator alike. What to
do is decided in `decisions`, what children look like in `manifests`.
"""
