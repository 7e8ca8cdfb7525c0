"""`deepsynth cost -f FILE`: what resources will cost, estimated before anything runs.

    estimating.py     the command: read, predict, price, print
    generations.py    pod-seconds of a DatasetGeneration, from those that are complete
    runs.py           pod-seconds of a TrainingRun, from attempts of the same model
    span.py           a number with its range
    calibration.py    a sample of the documents, rendered here

Rates are measured: they come from the status of other resources, never from a table. What has not been measured is
said. Prices belong to deepsynth_operator.core.prices.
"""
