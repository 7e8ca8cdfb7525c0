"""`deepsynth ui`: a page to look at, for the resources of a folder or of a cluster. It changes nothing.

    __main__.py         the entry in a pod
    server.py           listens, and prints the address
    app.py              which address answers with what
    guard.py            headers of every answer; which hosts and forms are answered
    listing.py          resources -> the rows of a list: filters, order, pages
    resource_page.py    one run or generation
    comparison_page.py  runs next to each other
    log_page.py         the end of a process's log
    results.py          curves, samples and pages from folders of results
    board.py            the resources in memory, kept current by watches
    addresses.py        resources <-> addresses
    rendering.py        templates, those of deepsynth_client.report among them

HTML is written in templates only, where everything is escaped. The pages work without JavaScript; static/live.js
replaces what has changed. What a page says about a resource comes from deepsynth_client.report, as in report.html.
This package knows the interface of resources; only the entry in a pod knows that they are in a cluster.
"""
