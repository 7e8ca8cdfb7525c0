"""One optimizer step: loss, gradients summed over ranks, precision, sharding, learning rate.

Which samples a step takes is in `sampler`, when steps happen in `loop`.
"""
