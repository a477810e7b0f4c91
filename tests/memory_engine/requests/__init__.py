"""The requests that read and write items, each as DynamoDB answers it or refuses it."""
