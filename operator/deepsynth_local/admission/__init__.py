"""What happens to a resource file before anything runs: read as kubectl does, checked as the API server does.

    manifest_file.py    YAML -> ParsedManifest, with the line of each field
    admit.py            ParsedManifest -> resource as stored: defaults, unknown fields, schema, CEL rules
    local_checks.py     what only this machine can check: references, GPUs, free disk space
    prepare.py          all of it for the files of one command

Running resources belongs elsewhere: this package starts nothing and writes nothing.
"""
