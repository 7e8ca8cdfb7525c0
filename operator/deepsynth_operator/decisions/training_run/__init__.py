"""The life of a TrainingRun: wait for inputs, pin them, then attempt after attempt until it completes or fails.

`policies` is the order of the decisions, `decide` asks them. `ends`, `failures` and `starts` hold the policies: is the
attempt over, is there another one, what does it wait for. `root_cause` says why an attempt ended (a disruption is not
a failure), `attempts` counts it. `inputs` pins datasets and model, `progress` takes reports, `describe` writes
conditions and columns, `events` the rest.
"""
