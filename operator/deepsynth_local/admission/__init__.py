"""What happens to a resource file before anything runs: read as kubectl does, checked as the API server does.

Also the checks that only this machine can make (GPUs, disk, references). Running belongs elsewhere.
"""
