"""One attempt of a training run, on every rank: what it reads, what it builds, what it leaves.

    run.py       the attempt from start to end
    inputs.py    commits that all attempts share
    data.py      parquet -> files on each node, and samples; stream.py, cache.py, kept_samples.py: where from
    micro_batch.py  spec.microBatchSize: auto
    assemble.py  from the workload document to the loop
    publish.py   the model folder of a checkpoint, and the final model
    evaluate.py  evaluation without training

What repeats step after step is in loop/. How each part works is in its own package; here they only meet.
"""
