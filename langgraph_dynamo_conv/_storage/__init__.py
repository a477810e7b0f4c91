"""The wire: requests to DynamoDB and S3, pages and retries. Failures become this package's errors here, once."""
