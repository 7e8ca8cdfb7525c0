"""One optimizer step: loss, gradients summed over ranks, precision, sharding, learning rate.

step.py shows the order. Which samples a step takes is in data/sampler.py; when a step is followed by an evaluation
or a save, in loop/. All ranks run the same collectives in the same order; docs/concepts/architecture.md says how.
"""
