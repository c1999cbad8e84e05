"""What leaves, to whom, on what premise; what comes in.

PostgreSQL is the truth on both sides; NATS is a buffer that may be lost.
"""
