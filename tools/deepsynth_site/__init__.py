"""The documentation site: what MkDocs needs to know about this repository.

    hooks.py       the events of MkDocs: files from outside docs/, links, the checks after a build
    links.py       links of the repository as links of the site
    drawings.py    Mermaid to SVG at build time, so that no script draws in the browser
    checks.py      what must hold for each page: it loads nothing from elsewhere, and no Markdown is left in it

`make docs` runs it in a virtual environment of its own, without DeepSynth. What pages say belongs to docs/; pages that
follow from the code are written by deepsynth_generators.
"""
