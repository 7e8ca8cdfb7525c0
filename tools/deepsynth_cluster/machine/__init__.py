"""Machines made of namespaces and control groups on this host, and the wires between them.

`machine` boots one and runs programs on it, `cgroups` ends its processes, `network` gives it an address. What runs on a
machine belongs to `kubernetes`.
"""
