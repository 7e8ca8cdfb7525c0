"""Datasets and models on the Hugging Face Hub: hf://.

Every request goes through `calls`. `errors` sorts an answer (429 is THROTTLED) and words it for users, `core.calls`
waits and repeats. `reading` and `writing` implement the store's interface. Importing this
package's modules costs half a second (the client library), so nothing outside imports them before it needs the Hub.
"""
