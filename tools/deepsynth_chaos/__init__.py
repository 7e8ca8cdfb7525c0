"""A campaign of random faults against the operator on a real control plane: `python -m deepsynth_chaos`.

    plan          seed -> faults with their moments; pure, so that a seed can be repeated
    invariants    recorded histories -> what is wrong; pure
    campaign      runs a plan: resources, faults, checks after each, and at the end

API server, etcd, Job controller and both operators are real. Nodes and the work of pods are stand-ins, so that hundreds
of faults take minutes. What a real trainer does when it is killed is in `tests/e2e/installed`. Not part of the wheel.
"""
