"""The launcher, PID 1 of a training pod: starts the worker processes, watches them, and reports why they ended.

    launch.py         from a document to an exit code
    topology.py       rank of this node, rendezvous address, environment of the workers
    agent.py          torch's elastic agent and the rendezvous of the nodes
    workers.py        signals to the worker processes, and when and how each ended
    watchdog.py       kills workers that hang or exceed the grace period
    hangs.py          whether the heartbeats have stopped, and which worker is the cause (pure)
    root_cause.py     which of several failures is the cause (pure)
    rank_logs.py      what each worker printed
    reports.py        the report while it runs, the termination message at the end
    report_server.py  GET /report, /metrics, /healthz

It never trains and, except in agent.py, does not import torch. Restarts are the controller's task.
"""
