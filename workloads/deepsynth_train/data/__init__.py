"""From datasets in parquet to batches.

    splits.py       which parquet files belong to a split
    materialise.py  parquet -> memory-mapped Arrow files, once per node
    pages.py        rows of those files by number; a row is a page
    samples.py      pages -> samples (documents or pages), without those that do not fit the model
    lengths.py      positions of each sample, from the sizes of its pages
    dataset.py      all datasets of a run as one numbered set of samples per split
    sampler.py      which samples a step takes, by weight and seed, and which of them a rank takes
    images.py       an encoded page -> its picture, or only its size
    loader.py       samples -> batches, made ahead of the loop by threads
    in_memory.py    pages that are not parquet yet, as from a notebook -> parquet
    columns.py      the columns of a page, and which holds a task's labels

What a batch looks like to the model is in models/; which revision of a dataset is read, in checkpoint/pins.py.
"""
