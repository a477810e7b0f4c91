"""What is stored of a checkpoint, pure: how it becomes a tree, whether it is stored as a change or full, and how a
chain of changes is read. Nothing here sends a request, and nothing here knows of one.
"""
