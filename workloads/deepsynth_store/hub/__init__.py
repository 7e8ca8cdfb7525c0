"""Datasets and models on the Hugging Face Hub: hf://.

Every request goes through `calls`, which repeats it as `backoff` says and turns failures into errors that a user can
act on (`errors`). `reading` and `writing` implement the store's interface. Importing this package's modules costs half
a second (the client library), so nothing outside imports them before it needs the Hub.
"""
