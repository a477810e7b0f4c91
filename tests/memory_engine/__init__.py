"""An in-memory DynamoDB for tests, which does what DynamoDB does or refuses, and never guesses.

A request that it does not know, or a parameter of one, raises `NotImplementedError` and names it. What it does, the
tests in `tests/contract` compare with DynamoDB Local.
"""
