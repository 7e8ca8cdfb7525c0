"""What a text in any script needs before it is shaped: direction, line breaks, and the invisible characters that count.

Strings in, strings and levels out. Fonts and glyphs do not belong here.
"""
