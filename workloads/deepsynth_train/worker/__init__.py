"""A worker process, one per GPU, started by the launcher: `python -m deepsynth_train.worker`.

    __main__.py   its entry
    process.py    signals, log, and how it ends
    heartbeat.py  Progress as files in the run folder
    errors.py     from an exception to an exit code and a reason

The training itself is in attempt/. A notebook has no worker process.
"""
