"""From datasets in parquet to batches.

    files/       parquet files, and the rows in them; a row is a page
    selection/   rows -> numbered samples, without those that do not fit the model
    dataset.py   all datasets of a run as one numbered set of samples per split
    samples.py   a sample's label and pages
    sampler.py   which samples a step takes, by weight and seed, and which of them a rank takes
    loader.py    samples -> batches, made ahead of the loop by threads

What a batch looks like to the model is in models/; which revision of a dataset is read, in checkpoint/pins.py.
"""
