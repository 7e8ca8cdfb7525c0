"""The launcher, PID 1 of a training pod: starts the workers, watches them, and says why they ended.

start.py          from a document to an exit code
agent.py          torch's elastic agent and the rendezvous of the nodes
workers.py        the worker processes: signals, exact ends
root_cause.py     which of many failures is the cause (pure)
hangs.py          whether the heartbeats have stopped (pure), stacks
report_server.py  GET /report, /metrics, /healthz
reports.py        what is reported, while it runs and at the end
"""
