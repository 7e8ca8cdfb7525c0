"""What is saved of a model and its optimizer, as safetensors and JSON: each rank's part, and how it is read again.

A folder in torch's own format, as earlier versions wrote it, is still read. When to save does not belong here.
"""
