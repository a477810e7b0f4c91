"""Storing, reading, renewing, copying and deleting checkpoints, task writes and large values. What refers to another
item is written after it and deleted before it, so that a crash leaves nothing that points at nothing.
"""
