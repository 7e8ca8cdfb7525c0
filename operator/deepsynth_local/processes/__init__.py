"""Pods as local processes: from a container's manifest to a command, its exit code, and leftover processes."""
