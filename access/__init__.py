"""Access: who may sign in, what each may see, and the log of who saw what; it stands above projections and ledger.

Personal data of a closed node are read through here alone: a ticket is committed before anything is opened.
"""
