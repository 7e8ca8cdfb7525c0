"""The programs of a cluster, from the Go modules pinned below `modules/` to binaries in the cache.

`pins` lists the modules and their cache keys, `build` builds a program when it is first needed, `packages` installs the
commands of the operating system. What the programs do on a machine belongs to `machine` and `kubernetes`.
"""
