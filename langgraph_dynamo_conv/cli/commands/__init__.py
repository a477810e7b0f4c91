"""One module for each group of commands: arguments in, tables and JSON out."""
