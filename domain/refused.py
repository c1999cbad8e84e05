"""A rule said no.

A refusal is a whole sentence for the person who asked: what cannot be done, and why. It never repeats personal data.
"""


class Refused(Exception):  # noqa: N818  # the field says "refused"; it is an answer, not a fault
    """A rule said no; the message is the sentence to show."""
