"""What each call of the saver does, in its order, and whose conversation a config means."""
