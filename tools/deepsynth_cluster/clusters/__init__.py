"""Clusters as a test or a user sees them: `interface` is what each of them offers.

`bare` makes one without Docker, `kind` one in Docker containers, `existing` uses one that is there; `selection`
chooses among them. The parts of a bare cluster are in `machine`, `kubernetes` and `images`.
"""
