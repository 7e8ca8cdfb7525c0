"""The vocabulary of the controller: what it can see and do, and the words for it.

The Cluster protocol, observed values, resource keys, errors, settings and quantities. No decisions, no I/O. Every other
package may import it; it imports only `deepsynth_api`.
"""
