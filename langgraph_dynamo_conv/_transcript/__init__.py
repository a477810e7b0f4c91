"""What people read of a conversation, pure: content as text, tool calls folded into the answers that they led to, what
a new state changes in a transcript, and what of it fits into the row.
"""
