"""An in-memory DynamoDB for tests, which does what DynamoDB does or refuses, and never guesses.

A request that it does not know, or a parameter of one, raises `NotImplementedError` and names it: batches, PartiQL,
streams, backups, local indexes, provisioned capacity, parallel scans, the parameters from before there were
expressions, and what AWS does not document well enough. `tests/contract` compares all that it does with DynamoDB Local.

    expressions/   conditions, updates, projections: read by a grammar, checked, evaluated
    items/         values in one form, sizes, keys, items in the order of their keys
    requests/      PutItem to TransactWriteItems
    table.py       one table and its indexes; `capacity`: what requests cost
    service.py     all tables, and the requests that create and describe them
    client.py      a boto3 client that is answered in this process
    bare.py        the conversations table without botocore, with counts of what is read and written
"""
