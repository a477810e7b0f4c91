"""Many checkpoints at once: lists of them, what they replay, and what becomes of them."""
