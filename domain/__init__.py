"""The rules of customs enforcement: what is recorded and when it is refused.

Pure: the standard library and msgspec only. Nothing here reads a clock, a file, a socket or a random number.
"""
