"""Weights and optimizer state in fewer bits, by bitsandbytes, which is imported only when a setting needs it."""
