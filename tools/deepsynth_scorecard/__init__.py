"""`make validate`: every check and test of the project, and what each of them measured.

Nothing is weighted or estimated: each figure comes from the output of the program in the same row, and the command
fails if one of them does. What is checked, and how, belongs to those programs and to the Makefile, not here.
"""
