"""The `ncen` command, and the embedded servers and workers it starts."""
