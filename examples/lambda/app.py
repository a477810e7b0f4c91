"""The function's entry point. Everything is made here, while Lambda starts the container, and kept."""

from __future__ import annotations

from chat_api import ChatApi
from chat_service import ChatService

handler = ChatApi(ChatService.from_environment())
