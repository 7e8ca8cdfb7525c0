"""One worker process of an attempt: its entry (`python -m deepsynth_train.worker`), heartbeat and exit codes.

The launcher starts it; the training itself is `deepsynth_train.attempt`.
"""
