"""The demo: a dialogue that plays itself, each step in a process of its own, and a check of what the table then holds.

`dialogue` plays it, `check` says what is missing, `endpoint` is the DynamoDB that the processes talk to, `units` counts
what their requests cost, `row` and `screen` show it.
"""
