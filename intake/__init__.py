"""Files that come in: mappings, rows, and the commands they become.

Importing the same file again writes nothing; a bad row is refused with its place and the good ones go in.
"""
