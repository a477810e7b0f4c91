"""The zstd dictionary of codec 2, as `benchmarks/train_dictionary.py` made it.

It never changes, since stored data needs it byte for byte. A better one gets a codec number of its own.
"""

from importlib.resources import files

DICTIONARY = files(__package__).joinpath("dictionary.zstd").read_bytes()
