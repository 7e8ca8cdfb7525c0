"""What happens to files before anything runs: resources are checked as the API server does, prices are read.

    problems.py         unknown fields and values that the schema does not allow, with their lines
    admit.py            ParsedManifest -> resource as stored: defaults, unknown fields, schema, CEL rules
    local_checks.py     what only this machine can check: references, GPUs, free disk space
    prepare.py          all of it for the files of one command
    price_file.py       the price table of this machine

Running resources belongs elsewhere: this package starts nothing and writes nothing.
"""
