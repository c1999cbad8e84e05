"""The documentation, and what generates those of its pages that are made from the code."""
