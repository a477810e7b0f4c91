"""Fixtures of the chat page's tests: a server on DynamoDB Local, and pages of a real browser."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chat.chat_page import ChatPage
from tests.chat.gateway import Gateway
from tests.chat.serving import ChatServer, chat_server, launched
from tests.engines import Engine

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OpenPage = Callable[..., ChatPage]
_users = (f"user-{os.getpid()}-{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def endpoint_url(engine: Engine) -> str:
    """DynamoDB Local's: the server is another process, which the other engines do not reach."""
    assert engine.endpoint_url is not None
    return engine.endpoint_url


@pytest.fixture(scope="session")
def server(endpoint_url: str) -> Iterator[ChatServer]:
    """A server for all tests that leave it running."""
    with chat_server(endpoint_url) as running:
        yield running


@pytest.fixture(scope="session")
def slow_server(endpoint_url: str) -> Iterator[ChatServer]:
    """One whose answers take seconds."""
    with chat_server(endpoint_url, word_seconds=0.08) as running:
        yield running


@pytest.fixture
def own_server(endpoint_url: str) -> Iterator[ChatServer]:
    """One that the test may stop and start."""
    with chat_server(endpoint_url) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium.

    Until Playwright is stopped, nothing else in this thread can run an event loop: so not for the tests of all modules.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def user() -> str:
    """A user without conversations."""
    return next(_users)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens the page as a user, each time in a browser window of its own.

    At the end no page has had an error, and none has asked another host for anything.
    """
    opened: list[ChatPage] = []

    def open_as(server: ChatServer | Gateway, user: str, **options: object) -> ChatPage:
        opened.append(ChatPage(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}), server))
        opened[-1].sign_in(user)
        return opened[-1]

    yield open_as
    wrong = [(page.errors, page.foreign) for page in opened if page.errors or page.foreign]
    for page in opened:
        page.context.close()
    assert wrong == []
