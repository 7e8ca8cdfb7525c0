"""Datasets and models in object stores: s3://, gs:// and az://, by the client library obstore.

    s3://BUCKET/PATH/deepsynth/manifest.json          what is published; written last, by one conditional request
    s3://BUCKET/PATH/data/train-00000-GENERATION.parquet
    s3://BUCKET/PATH/README.md                        and other files outside data/, under their own names
    s3://BUCKET/PATH/.deepsynth-DIGEST/               staging

`keys` says which object holds which file. `client` builds the client from the environment, `errors` sorts what it
raises, `requests` checks what servers answer, `reading`, `writing` and `snapshot` implement the store's interface.
Nothing here trusts an answer: the library takes a proxy's page for an empty listing and any short body for a file.
"""
