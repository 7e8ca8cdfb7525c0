"""What all types are made of: the base model, metadata, conditions, and strings with a pattern and a limit."""
