"""What messages of any provider hold, as text and as tool calls."""
