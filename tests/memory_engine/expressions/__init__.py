"""The expressions of DynamoDB's requests: read by a grammar, checked, and evaluated on items."""
