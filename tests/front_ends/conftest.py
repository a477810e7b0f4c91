"""AG-UI's library is for Python 3.11, and for that constraints-chainlit.txt has pins."""

from __future__ import annotations

import sys

collect_ignore_glob = [] if sys.version_info >= (3, 11) else ["test_*.py"]
