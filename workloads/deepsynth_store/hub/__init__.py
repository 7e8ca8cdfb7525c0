"""Datasets on the Hugging Face Hub: hf://. Every call to the Hub goes through `calls`."""
