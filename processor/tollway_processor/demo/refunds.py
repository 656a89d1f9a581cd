"""The sample app's refunds agent: a LangGraph graph of one model and three tools.

An ordinary LangGraph program that knows nothing of Tollway; agent.py serves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

Graph = CompiledStateGraph[Any, Any, Any, Any]

POLICY: Final = files("tollway_processor.demo").joinpath("policy.md").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Handled:
    """What the agent did with a ticket."""

    text: str
    model_calls: int
    refused_tool_calls: int


@tool
def look_up_order(order_id: str) -> dict[str, str]:
    """Look up one order: its state, its total in US dollars and the town it goes to."""
    return {"order_id": order_id, "state": "delivered", "total_usd": "140.00", "town": "Utrecht"}


@tool
def issue_refund(order_id: str, amount_usd: float, reason: str) -> dict[str, str]:
    """Refund an order, wholly or in part, to the card that paid."""
    return {"order_id": order_id, "refunded_usd": f"{amount_usd:.2f}", "reason": reason}


@tool
def close_account(account_id: str, reason: str, keep_days: int) -> dict[str, str]:
    """Close an account at its holder's wish, keeping its data for some days."""
    return {"account_id": account_id, "state": "closing", "kept": f"{keep_days} days ({reason})"}


TOOLS = (look_up_order, issue_refund, close_account)


def build_agent(model: str) -> Graph:
    """Return the agent on `model`, ready to be shared by threads."""
    chat = ChatOpenAI(model=model, max_retries=1).bind_tools(list(TOOLS))

    def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [chat.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call_model)
    graph.add_node("tools", ToolNode(list(TOOLS)))
    graph.add_node("refuse", _refuse)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", _next_nodes, ["tools", "refuse", END])
    graph.add_edge("tools", "model")
    graph.add_edge("refuse", "model")
    return cast(Graph, graph.compile(name="refunds_agent"))


def handle_refund(agent: Graph, text: str) -> Handled:
    """Let the agent work a ticket; tool calls it got wrong are counted, not raised."""
    start = {"messages": [SystemMessage(POLICY), HumanMessage(text)]}
    messages: Sequence[AnyMessage] = agent.invoke(start)["messages"]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    return Handled(
        text=str(messages[-1].content),
        model_calls=sum(isinstance(message, AIMessage) for message in messages),
        refused_tool_calls=sum(result.status == "error" for result in results),
    )


def _next_nodes(state: MessagesState) -> list[str]:
    said = cast(AIMessage, state["messages"][-1])
    nodes = ["tools"] * bool(said.tool_calls) + ["refuse"] * bool(said.invalid_tool_calls)
    return nodes or [END]


def _refuse(state: MessagesState) -> dict[str, Any]:
    """Answer the tool calls whose arguments do not parse, as the API demands of every call."""
    said = cast(AIMessage, state["messages"][-1])
    refusals = [
        ToolMessage(
            f"{call['name']}: the arguments are no valid JSON.",
            tool_call_id=call["id"],
            status="error",
        )
        for call in said.invalid_tool_calls
    ]
    return {"messages": refusals}
