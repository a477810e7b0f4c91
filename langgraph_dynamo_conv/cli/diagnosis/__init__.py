"""Diagnosis: what is wrong with the table, the bucket, the permissions, the clock, and this environment; what is told
needs no knowledge of DynamoDB's words. It changes nothing that a saver reads."""
