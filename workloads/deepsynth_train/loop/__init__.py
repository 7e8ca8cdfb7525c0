"""What repeats in a training run: step after step, with evaluations and saves in between.

    loop.py     the steps of an attempt, until the end or a request to stop
    cadence.py  after which steps to evaluate and to save
    meter.py    rates and peak memory of the last steps

How one step is computed is in optimization/; what surrounds the loop, in attempt/.
"""
