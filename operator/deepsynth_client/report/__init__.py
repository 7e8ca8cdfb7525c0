"""report.html: one self-contained page about the resources of a run, without network, scripts or tracking.

    results.py     reads sample pages and training curves from the volumes
    charts.py      curves -> positions in a drawing
    timeline.py    spans of time -> positions on a time line
    lives.py       attempts of a run, Jobs of a generation -> spans
    sections.py    resource + results -> Section: every text that the page shows about one resource
    comparison.py  runs next to each other
    page.py        sections -> HTML, with templates/*.html (Jinja2, everything escaped)

This package only reads: it runs nothing and decides nothing. HTML is written in the templates and nowhere else.
"""
