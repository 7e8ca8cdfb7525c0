"""Rows -> numbered samples: documents or pages, without those that do not fit the model.

index.py    the kept samples of a split, as arrays
build.py    groups rows into samples and measures them
lengths.py  positions of each sample, from the sizes of its pages
limits.py   what is too long, and how many may be dropped
holdout.py  which documents are kept for evaluation
chosen.py   the samples of all datasets as one file, for later attempts and other runs
identity.py what they depend on, as a key
similar.py  which documents are too similar to those, or to documents of other datasets
"""
