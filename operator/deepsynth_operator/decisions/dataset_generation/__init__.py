"""The life of a DatasetGeneration: plan, render, publish, each a Job.

`policies` is the order of the decisions, `decide` asks them. `ends`, `failures` and `starts` hold the policies: is the
Job over, is there another one, what does it wait for. `ahead` starts and ends the second Job, which renders while the
plan is made. `jobs` keeps one entry per Job, `progress` takes reports, `describe` writes conditions and columns.
"""
