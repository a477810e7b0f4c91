"""Bytes and items, pure: every key, limit, attribute, frame and change is spelled here and nowhere else."""
