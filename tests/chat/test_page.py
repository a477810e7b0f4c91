"""The chat page in a real browser, on a real server and DynamoDB Local."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

import dev
from langgraph_dynamo_conv import Conversations
from tests.chat.conftest import OpenPage
from tests.chat.serving import ChatServer, built_page, chat_server

pytestmark = [pytest.mark.browser, pytest.mark.engine("dynamodb-local")]

NOTE = "Keep a note: milk is out"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_a_conversation_with_tools_shows_what_was_called_and_remembers(
    open_page: OpenPage, server: ChatServer, user: str
):
    page = open_page(server, user)
    page.say("Show me the Python files")
    expect(page.cards).to_have_count(1)
    card = page.cards.first
    expect(card).to_contain_text("search_files")
    expect(card.get_by_text("Result", exact=True)).to_be_hidden()
    card.locator("summary").click()
    expect(card.locator("pre").first).to_have_text(re.compile(r'"kind": "python"'))
    expect(card.locator("pre").last).to_contain_text("agent.py")
    expect(page.answers.last).to_contain_text("files of kind python")

    page.say("show me the first one")
    expect(page.answers.last).to_contain_text("SHA-256")
    expect(page.listed.first).to_contain_text("Show me the Python files")
    page.tab.reload()
    expect(page.questions).to_have_count(2)
    expect(page.cards).to_have_count(2)


def test_tokens_arrive_one_after_another(open_page: OpenPage, slow_server: ChatServer, user: str):
    page = open_page(slow_server, user)
    page.tab.evaluate(
        """() => {
            window.lengths = new Set();
            const answer = () => document.querySelector(".message.assistant .markdown");
            const note = () => window.lengths.add(answer()?.textContent.length);
            new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.say("hello")
    expect(page.answers.last).to_contain_text("What are you looking for?")
    lengths = page.tab.evaluate("() => [...window.lengths].filter(Boolean)")
    assert len(lengths) >= 8
    assert lengths == sorted(lengths)


def test_a_reload_in_the_middle_of_a_run_shows_the_rest(open_page: OpenPage, slow_server: ChatServer, user: str):
    page = open_page(slow_server, user)
    page.say("Show me the Python files", wait=False)
    expect(page.answers.last).to_contain_text("I found")
    page.tab.reload()
    expect(page.tab.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.answers.last).to_contain_text("I found")
    page.wait_until_idle()
    expect(page.answers.last).to_contain_text("for the next ones")
    assert (page.answers.last.locator(".markdown").text_content() or "").count("I found") == 1
    expect(page.questions).to_have_count(1)
    expect(page.cards).to_have_count(1)


def test_a_run_goes_on_while_another_conversation_is_open(open_page: OpenPage, slow_server: ChatServer, user: str):
    page = open_page(slow_server, user)
    page.say("Show me the Python files", wait=False)
    expect(page.answers.last).to_contain_text("I found")
    page.tab.get_by_role("button", name="New conversation", exact=True).click()
    expect(page.questions).to_have_count(0)
    expect(page.listed.first.get_by_text("running")).to_be_attached()
    page.listed.first.locator("a").click()
    page.wait_until_idle()
    expect(page.answers.last).to_contain_text("for the next ones")


def test_what_waits_is_approved_after_a_reload_and_a_restart_of_the_server(
    open_page: OpenPage, own_server: ChatServer, user: str
):
    page = open_page(own_server, user)
    page.say(NOTE)
    expect(page.approval).to_contain_text("milk is out")
    expect(page.listed.first).to_contain_text("waiting")
    page.tab.reload()
    expect(page.approval).to_contain_text("milk is out")
    own_server.stop()
    own_server.start()
    page.tab.reload()
    page.approval.get_by_role("button", name="Approve").click()
    expect(page.answers.last).to_contain_text("I kept the note.")
    expect(page.approval).to_have_count(0)
    expect(page.cards.first).to_contain_text("done")
    expect(page.listed.first).not_to_contain_text("waiting")


def test_what_waits_is_rejected_with_a_reason(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user)
    page.say(NOTE)
    page.approval.get_by_role("textbox").fill("We have enough.")
    page.approval.get_by_role("button", name="Reject").click()
    expect(page.answers.last).to_contain_text("I did not keep the note. We have enough.")
    expect(page.cards.first).to_contain_text("failed")
    page.say("thanks")
    expect(page.answers.last).to_contain_text("You are welcome.")


def test_an_edited_message_replaces_what_followed(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user)
    page.say("hello")
    page.say("Show me the Python files")
    page.questions.first.hover()
    page.questions.first.get_by_role("button", name="Edit").click()
    page.tab.get_by_label("Edit your message").fill("thanks")
    page.tab.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.answers).to_have_count(1)
    expect(page.answers.first).to_contain_text("You are welcome.")
    page.wait_until_idle()
    page.tab.reload()
    expect(page.questions).to_have_text([re.compile("thanks")])
    expect(page.listed.first).to_contain_text("thanks")


def test_an_answer_is_made_again(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user)
    page.say("hello")
    page.say("Show me the Python files")
    with page.tab.expect_response(re.compile("/chat$")) as answered:
        page.answers.last.get_by_role("button", name="Answer again").click()
    assert json.loads(answered.value.request.post_data or "")["replaces"]
    page.wait_until_idle()
    expect(page.questions).to_have_count(2)
    expect(page.answers.last).to_contain_text("files of kind python")


def test_an_answer_is_stopped_and_the_conversation_goes_on(open_page: OpenPage, slow_server: ChatServer, user: str):
    page = open_page(slow_server, user)
    page.say("Show me the Python files", wait=False)
    expect(page.answers.last).to_contain_text("I found")
    page.tab.get_by_role("button", name="Stop").click()
    page.wait_until_idle()
    expect(page.answers.last).to_contain_text("I found")
    expect(page.answers.last).not_to_contain_text("for the next ones")
    page.say("thanks")
    expect(page.answers.last).to_contain_text("You are welcome.")


def test_a_conversation_is_renamed_exported_and_deleted(
    open_page: OpenPage, server: ChatServer, user: str, tmp_path: Path
):
    page = open_page(server, user)
    page.say("hello")
    page.more("Rename", of="hello")
    page.tab.get_by_label("Title").fill("Greetings")
    page.tab.get_by_role("button", name="Rename", exact=True).click()
    expect(page.listed.first).to_contain_text("Greetings")
    expect(page.tab.get_by_role("heading", name="Greetings")).to_be_visible()
    with page.tab.expect_download() as markdown:
        page.more("Export as Markdown")
    markdown.value.save_as(tmp_path / "chat.md")
    assert "Greetings" in (tmp_path / "chat.md").read_text()
    assert markdown.value.suggested_filename.endswith(".md")
    with page.tab.expect_download() as exported:
        page.more("Export as JSON")
    exported.value.save_as(tmp_path / "chat.json")
    assert [one["role"] for one in json.loads((tmp_path / "chat.json").read_text())[0]["messages"]] == [
        "user",
        "assistant",
    ]
    page.tab.reload()
    expect(page.listed.first).to_contain_text("Greetings")
    page.more("Delete", of="Greetings")
    page.tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.listed).to_have_count(0)
    expect(page.questions).to_have_count(0)
    page.tab.reload()
    expect(page.tab.get_by_text("No conversations yet.")).to_be_visible()


def test_sixty_conversations_come_by_scrolling_newest_first(
    open_page: OpenPage, server: ChatServer, user: str, endpoint_url: str
):
    conversations = Conversations("conversations", region_name="us-east-1", endpoint_url=endpoint_url)
    for number in range(60):
        conversations.create(user, title=f"Number {number}")
    conversations.close()
    page = open_page(server, user)
    expect(page.listed).to_have_count(30)
    page.listed.last.scroll_into_view_if_needed()
    expect(page.listed).to_have_count(60)
    titles = page.tab.locator(".row-title").all_text_contents()
    assert titles == [f"Number {number}" for number in reversed(range(60))]
    page.listed.last.locator("a").click()
    expect(page.tab.get_by_role("heading", name="Number 0", exact=True)).to_be_visible()
    page.say("hello")
    expect(page.listed).to_have_count(60)


def test_long_conversations_show_earlier_messages_by_scrolling(
    open_page: OpenPage, server: ChatServer, user: str, endpoint_url: str
):
    conversations = Conversations("conversations", region_name="us-east-1", endpoint_url=endpoint_url)
    made = conversations.create(user, title="Long")
    for number in range(70):
        conversations.add_message(made.conversation_id, "user", f"Message number {number}.", user_id=user)
    conversations.close()
    page = open_page(server, user)
    page.listed.first.locator("a").click()
    expect(page.questions).to_have_count(50)
    page.tab.get_by_role("region", name="Messages").evaluate("element => element.scrollTo(0, 0)")
    expect(page.questions).to_have_count(70)
    expect(page.questions.first).to_contain_text("Message number 0.")


def test_two_tabs_follow_each_other(open_page: OpenPage, slow_server: ChatServer, user: str):
    first = open_page(slow_server, user)
    first.say("hello")
    second = first.another_tab()
    second.listed.first.locator("a").click()
    expect(second.answers).to_have_count(1)
    first.say("Show me the Python files", wait=False)
    expect(second.questions).to_have_count(2)
    expect(second.answers.last).to_contain_text("I found")
    second.composer.fill("thanks")
    second.wait_until_idle()
    second.composer.press("Enter")
    expect(first.answers).to_have_count(3)
    expect(first.answers.last).to_contain_text("You are welcome.")
    for page in (first, second):
        page.wait_until_idle()
        expect(page.questions).to_have_count(3)
    assert second.errors == second.foreign == []


def test_two_users_do_not_see_each_other(open_page: OpenPage, server: ChatServer, user: str):
    one = open_page(server, user)
    one.say("hello")
    address = one.tab.url
    other = open_page(server, f"{user}-other")
    expect(other.tab.get_by_text("No conversations yet.")).to_be_visible()
    other.tab.goto(address)
    expect(other.tab.get_by_text("This conversation is not there any more.")).to_be_visible()
    expect(other.questions).to_have_count(0)


def test_a_server_that_is_down_is_told_and_nothing_typed_is_lost(
    open_page: OpenPage, own_server: ChatServer, user: str
):
    page = open_page(own_server, user)
    page.say("hello")
    own_server.stop()
    page.composer.fill("Show me the Python files")
    page.composer.press("Enter")
    expect(page.tab.get_by_text("The server does not answer.")).to_be_visible()
    expect(page.composer).to_have_value("Show me the Python files")
    own_server.start()
    expect(page.tab.get_by_text("The server does not answer.")).to_be_hidden(timeout=15_000)
    page.composer.press("Enter")
    expect(page.answers).to_have_count(2)
    expect(page.answers.last).to_contain_text("files of kind python")
    page.wait_until_idle()
    expect(page.questions).to_have_count(2)


def test_an_answer_that_a_dead_server_left_goes_on(open_page: OpenPage, endpoint_url: str, user: str):
    server = ChatServer(endpoint_url, word_seconds=0.2)
    server.start()
    try:
        page = open_page(server, user)
        page.tab.clock.install()
        page.say("Show me the Python files", wait=False)
        expect(page.answers.last).to_contain_text("I found")
        server.stop(at_once=True)
        server.start()
        page.tab.clock.fast_forward(60_000)
        page.tab.reload()
        page.tab.get_by_role("button", name="Go on").click()
        expect(page.answers.last).to_contain_text("for the next ones", timeout=20_000)
        expect(page.questions).to_have_count(1)
    finally:
        server.stop()


def test_everything_is_there_again_after_a_stop_of_server_and_table(open_page: OpenPage, user: str, tmp_path: Path):
    local = dev.DynamoDBLocal(os.environ.get("DYNAMODB_LOCAL_JAVA", "java"), Path(os.environ["DYNAMODB_LOCAL_HOME"]))
    for visit in range(2):
        with (
            dev.running_dynamodb_local(local, tmp_path) as port,
            chat_server(f"http://127.0.0.1:{port}") as server,
        ):
            page = open_page(server, user)
            expect(page.listed).to_have_count(visit)
            page.say(f"hello {visit}")
            expect(page.listed).to_have_count(visit + 1)
            page.tab.close()


def test_all_is_done_by_keyboard(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user)
    page.say("hello")
    keyboard = page.tab.keyboard
    page.tab.get_by_role("button", name="New conversation").first.focus()
    keyboard.press("Tab")
    expect(page.listed.first.locator("a")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(page.tab.get_by_role("menuitem", name="Rename")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(page.tab.get_by_role("menuitem", name="Export")).to_be_focused()
    keyboard.press("Escape")
    expect(page.tab.get_by_role("menu")).to_have_count(0)
    keyboard.press("Enter")
    keyboard.press("Enter")
    keyboard.type("By keyboard")
    keyboard.press("Enter")
    expect(page.listed.first).to_contain_text("By keyboard")


def test_a_phone_has_all_within_its_width(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user, **PHONE)
    page.say("Show me the Python files")
    page.cards.first.locator("summary").click()
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") == 390
    expect(page.listed.first).not_to_be_in_viewport()
    page.tab.get_by_role("button", name="Open the list").click()
    expect(page.listed.first).to_be_in_viewport()
    page.tab.keyboard.press("Escape")
    expect(page.listed.first).not_to_be_in_viewport()


def test_colours_stay_chosen(open_page: OpenPage, server: ChatServer, user: str):
    page = open_page(server, user, color_scheme="light")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.tab.evaluate(ground)
    for name in ("Colours: system", "Colours: light"):
        page.tab.get_by_role("button", name=name).click()
    dark = page.tab.evaluate(ground)
    page.tab.reload()
    expect(page.tab.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert page.tab.evaluate(ground) == dark != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_nothing_serious(open_page: OpenPage, server: ChatServer, user: str, scheme: str, size: str):
    axe = Path(built_page(), "..", "node_modules", "axe-core", "axe.min.js").read_text()
    page = open_page(server, user, color_scheme=scheme, **(PHONE if size == "phone" else {}))
    assert page.serious_findings(axe) == []
    page.say("Show me the Python files")
    page.cards.first.locator("summary").click()
    page.say(NOTE)
    expect(page.approval).to_be_visible()
    assert page.serious_findings(axe) == []
    if size == "phone":
        page.tab.get_by_role("button", name="Open the list").click()
        expect(page.listed.first).to_be_in_viewport()
        page.tab.wait_for_timeout(300)
    page.tab.get_by_role("button", name=f"More for {'Show me the Python files'}", exact=True).click(force=True)
    assert page.serious_findings(axe) == []
    page.tab.get_by_role("menuitem", name="Delete").click()
    assert page.serious_findings(axe) == []
    page.tab.get_by_role("button", name="Cancel").click()
    page.tab.get_by_role("button", name="Sign out").click()
    expect(page.tab.get_by_label("Name")).to_be_visible()
    assert page.serious_findings(axe) == []
