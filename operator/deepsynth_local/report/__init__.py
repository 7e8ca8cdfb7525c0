"""report.html: one self-contained page about the resources of a run. Reads results; runs and decides nothing."""
