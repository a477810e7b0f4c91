"""This saver beside its peers: one run, one machine, one engine. `python3 dev.py benchmark` runs it."""
