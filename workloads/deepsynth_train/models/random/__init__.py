"""The models of `config://NAME`: random weights and one token per byte, with nothing to download."""
