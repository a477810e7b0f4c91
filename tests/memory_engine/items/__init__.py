"""What a table holds: values in one form, items and their sizes, keys, and items in the order of their keys."""
