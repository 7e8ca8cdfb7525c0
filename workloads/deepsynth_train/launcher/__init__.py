"""The launcher, PID 1 of a training pod: starts the worker processes, watches them, and reports why they ended.

    launch.py         from a document to an exit code
    round.py          the workers from one start to their end
    topology.py       rank of this node, rendezvous address, environment of the workers
    meeting.py        where the nodes meet, and what they share
    agent.py          torch's elastic agent
    workers.py        signals to the worker processes, and when and how each ended
    processes.py      what workers leave behind
    watchdog.py       kills workers that hang or exceed the grace period
    hangs.py          whether the heartbeats have stopped, and which worker is the cause (pure)
    root_cause.py     which of several failures is the cause (pure)
    in_place.py       whether failed workers start again in the same pods (pure)
    agreement.py      how all nodes come to the same answer
    rank_logs.py      what each worker printed
    reports.py        the report while it runs, the termination message at the end
    report_server.py  GET /report, /metrics, /healthz

It never trains and, except in agent.py and meeting.py, does not import torch. New pods are the controller's task.
"""
