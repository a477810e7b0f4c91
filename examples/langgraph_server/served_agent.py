"""The agent that the server runs: the file library's assistant, which asks before it looks into a file.

The server gives it its checkpointer, so none is named here. The model needs no key; a real one is one line.
"""

from __future__ import annotations

import os
from pathlib import Path

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from library import FileLibrary
from offline_model import OfflineFileModel

ROOT = Path(__file__).resolve().parents[2]

library = FileLibrary(os.environ.get("LIBRARY_FOLDER", ROOT))
graph = create_agent(
    OfflineFileModel(),
    library.tools(),
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"file_details": True})],
)
