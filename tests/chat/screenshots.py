"""Takes the pictures of the chat page for its README: `python3 dev.py chat-screenshots`."""

from __future__ import annotations

import io
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from langgraph_dynamo_conv import Conversations
from tests.chat.chat_page import ChatPage
from tests.chat.serving import ChatServer, chat_server, launched
from tests.engines import DUMMY_ENVIRONMENT, dynamodb_local

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
MOST_BYTES = 150_000
TITLES = (
    "Large archives of last year",
    "Videos from the summer",
    "Where is the budget table?",
    "Markdown files about expiry",
    "Photos larger than 5 MB",
    "What changed since Monday?",
    "Old log files",
    "The smallest Python module",
)


def main() -> None:
    os.environ.update(DUMMY_ENVIRONMENT)
    with dynamodb_local() as port:
        endpoint_url = f"http://127.0.0.1:{port}"
        with chat_server(endpoint_url) as server, sync_playwright() as playwright:
            browser = launched(playwright)
            take_all(browser, server, endpoint_url)
            browser.close()


def take_all(browser: Browser, server: ChatServer, endpoint_url: str) -> None:
    for number, title in enumerate(TITLES):
        begun_at = time.time() - (len(TITLES) - number) * 17 * 3600
        place: Any = {"region_name": "us-east-1", "endpoint_url": endpoint_url}
        conversations = Conversations("conversations", clock=partial(float, begun_at), **place)
        conversations.create("alice", title=title)
        conversations.close()
    desktop = ChatPage(browser.new_context(color_scheme="light", **DESKTOP), server)
    desktop.sign_in("alice")
    save(desktop, "chat-welcome")
    desktop.say("Keep a note: order milk")
    desktop.tab.get_by_role("button", name="New conversation", exact=True).click()
    desktop.say("Show me the Python files")
    desktop.say("how large is the first one?")
    desktop.tab.mouse.move(700, 10)
    save(desktop, "chat-desktop-light")
    desktop.tab.emulate_media(color_scheme="dark")
    desktop.listed.filter(has_text="order milk").locator("a").click()
    expect(desktop.approval).to_be_visible()
    desktop.tab.mouse.move(700, 10)
    save(desktop, "chat-desktop-dark")
    phone = ChatPage(browser.new_context(color_scheme="light", **PHONE), server)
    phone.sign_in("alice")
    phone.tab.goto(desktop.tab.url)
    expect(phone.approval).to_be_visible()
    save(phone, "chat-phone-light")
    phone.tab.emulate_media(color_scheme="dark")
    phone.tab.get_by_role("button", name="Open the list").tap()
    phone.tab.wait_for_timeout(400)  # the list slides in
    save(phone, "chat-phone-dark")


def save(page: ChatPage, name: str) -> None:
    """Keep what the page shows as a small PNG."""
    page.tab.wait_for_timeout(200)  # letters and colours have settled
    image = Image.open(io.BytesIO(page.tab.screenshot(animations="disabled"))).convert("RGB")
    path = IMAGES / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size <= MOST_BYTES, f"{path.name} has {size} bytes"
    print(f"{path.name}: {size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
