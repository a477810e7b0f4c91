"""Which messages of a state are the parts of a conversation message that is erased."""

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langgraph_dynamo_conv._transcript.erasing import Target, erased
from langgraph_dynamo_conv._transcript.folding import fold


def test_a_result_is_erased_with_its_answer_though_it_has_another_id_than_when_it_was_said():
    call = {"name": "search", "args": {}, "id": "c"}
    question, asks, answer = (
        HumanMessage("hi", id="q"),
        AIMessage("", tool_calls=[call], id="a"),
        AIMessage("so", id="b"),
    )
    said = ToolMessage("found", tool_call_id="c", id="as it was said")
    held = ToolMessage("found", tool_call_id="c", id="as it is held")
    (_, target) = fold([question, asks, said, answer], timestamp="")
    left = erased([question, asks, held, answer], Target(target), None)
    assert (left.items, left.former) == ([question], [asks, held, answer])
