"""The conversation row, which other programs read, and the items of messages that left it. Both are derived from the
state, after it is stored, and never the other way round.
"""
