"""The files of a model folder, read without the library that loads them: what is wrong with them, names of adapters."""
