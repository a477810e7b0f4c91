"""The page as a person sees it: what they read and do, by roles and names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, Request

    from tests.chat.gateway import Gateway
    from tests.chat.serving import ChatServer

expect.set_options(timeout=15_000)  # other tests may run at the same time
EXPECTED = re.compile(r"Failed to load resource|net::ERR_")
"""What a browser itself logs of answers like 401, 404 and 409, and of a server that is down."""


class ChatPage:
    """A tab of the chat page.

    Args:
        context: The browser window, with cookies of its own.
        server: Whose page.
        tab: The tab; a new one if None.
    """

    def __init__(self, context: BrowserContext, server: ChatServer | Gateway, tab: Page | None = None) -> None:
        self.context, self.server = context, server
        self.tab = tab or context.new_page()
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", lambda message: self._note(message.type, message.text))
        self.tab.on("request", self._check)
        self.tab.goto(server.url)

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not EXPECTED.search(text):
            self.errors.append(text)

    def _check(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "blob:", "data:")):
            self.foreign.append(request.url)

    def another_tab(self) -> ChatPage:
        """The same user's page in another tab."""
        return ChatPage(self.context, self.server)

    def sign_in(self, user: str) -> None:
        self.tab.get_by_label("Name").fill(user)
        self.tab.get_by_role("button", name="Sign in").click()
        expect(self.composer).to_be_visible()

    @property
    def composer(self) -> Locator:
        return self.tab.get_by_label("Message", exact=True)

    @property
    def listed(self) -> Locator:
        """The conversations in the sidebar."""
        return self.tab.locator(".row")

    @property
    def questions(self) -> Locator:
        return self.tab.locator(".message.user")

    @property
    def answers(self) -> Locator:
        return self.tab.locator(".message.assistant")

    @property
    def cards(self) -> Locator:
        """Tool cards."""
        return self.tab.locator(".tool-card")

    @property
    def approval(self) -> Locator:
        return self.tab.get_by_role("region", name="Approval")

    def say(self, text: str, *, wait: bool = True) -> None:
        """Type a message and send it; wait for the end of the answer."""
        self.wait_until_idle()
        self.composer.fill(text)
        self.composer.press("Enter")
        if wait:
            expect(self.questions.last).to_contain_text(text)
            self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Until no answer is being written: the button that stops it is gone."""
        expect(self.tab.get_by_role("button", name="Send", exact=True)).to_be_visible(timeout=20_000)

    def more(self, text: str, *, of: str | None = None) -> None:
        """Choose in the menu of the open conversation, or of one in the list."""
        if of is not None:
            self.listed.filter(has_text=of).hover()
        name = f"More for {of}" if of else "More for this conversation"
        self.tab.get_by_role("button", name=name, exact=True).click()
        self.tab.get_by_role("menuitem", name=text).click()

    def serious_findings(self, axe: str) -> list[Any]:
        """What axe finds of serious or critical impact in the page as it is."""
        self.tab.evaluate(axe)
        found = self.tab.evaluate("() => axe.run().then(({ violations }) => violations)")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]
