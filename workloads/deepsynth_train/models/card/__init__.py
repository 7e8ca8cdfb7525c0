"""README.md of a published model: the card that the Hub shows.

`build` puts it together from what `base_model` finds about the model that training started from, the sample code in
`usage` and the run's own facts. Names, prompts and texts that a model wrote come from users: `markdown` escapes them.
Writing the folder is `export`'s work.
"""
