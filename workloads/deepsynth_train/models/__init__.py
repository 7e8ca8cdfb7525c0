"""The way from spec.model to a model that takes pages, and from it to a folder that others open.

    interface/   what the trainer knows of a model
    families/    how each architecture takes pages
    files/       what lies in a model folder
    card/        README.md of a published model
    random/      the models of config://NAME

Here: loading.py reads a model, build.py freezes it and adds adapters, export.py writes it, opening.py opens it to read
pages. How weights are updated (optimization/) does not belong here.

Importing the package silences the warnings of bitsandbytes about missing GPUs and kernels. peft imports bitsandbytes
wherever it is installed, so users would see them in runs that do not use it.
"""

import logging

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
