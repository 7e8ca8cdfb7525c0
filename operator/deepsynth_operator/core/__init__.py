"""The vocabulary of the controller: the Cluster protocol, observed values, resource keys, errors, settings, quantities.

What belongs here is a value or an interface that several packages share. It makes no decision and does no I/O. Every
other package of the operator, and the simulator, may import it; it imports only `deepsynth_api`.
"""
