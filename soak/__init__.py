"""The soak: long, seeded trials of what the node promises, each with controls that show that the trial can fail.

It stands above every other room and none imports it: `cli.main` names its verb by text. It starts servers and workers
of its own, in a folder of its own, and never touches a node that is in use.
"""
