"""Memory and throughput of each step with a dataset that is larger than the disk: `make benchmark-large`.

`store` is a server that makes what is read and forgets what is written, `limited` a process with a memory limit,
`files` what is read, `steps` what the measured processes do.
"""
