"""What a conversation shows of its messages, pure: content as text, tool calls folded into answers, what a new state
changes, and what fits into the row.
"""
