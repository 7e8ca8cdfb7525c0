"""What a client does with resources, wherever they are: the interface, a cluster behind it, and what people look at.

    interface.py        Resources: the Protocol that the verbs and notebooks use
    errors.py           errors of a client, each with the exit code of the command
    selectors.py        label and field selectors, for places without an API server
    manifest_file.py    YAML -> manifests, as kubectl reads it
    tables.py           kubectl's columns
    remedies.py         what to do about a resource that has failed
    untrusted_files.py  files of folders that others write to
    cluster/            Resources in a namespace of a cluster
    report/             the HTML report

The other implementation, on the runs folder, is deepsynth_local's. Which one a command uses is decided in `deepsynth`;
nothing here asks. Decisions about resources belong to the operator.
"""
