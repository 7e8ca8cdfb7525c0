"""Pods as local processes: what a container runtime does in a cluster.

container.py translates a container into a command, process_runner.py starts and stops it (the simulator's PodRunner),
temporary.py removes what it had on disk, leftovers.py finds processes that a killed command left behind. Pods of a
DatasetGeneration are forked from a process that has imported what they need (forking.py, fork_server.py). When a pod
starts and whether its exit is a failure is decided by the simulator.
"""
