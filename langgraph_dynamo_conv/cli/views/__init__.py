"""How conversations and checkpoints look: on a terminal, and as one HTML page. Nothing stored is shown unescaped."""
