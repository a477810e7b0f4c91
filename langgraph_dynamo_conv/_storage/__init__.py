"""The wire: requests, paging and retries; failures of both services become this package's errors here, once."""
