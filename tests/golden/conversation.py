"""The golden conversation: what one app says to its model, whichever library watches it.

Six model calls (plain, streamed, with a tool and after it, twice inside a LangGraph agent) and an
embedding. Runs in the environment of the library; how that is switched on is libraries.py's.
"""

from __future__ import annotations

from typing import Any

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from provider import Provider

MODEL = "gpt-5-mini"
SYSTEM = "You answer for the shop."
QUESTION = "How long can I return it?"
ORDER = "Where is order O-1001?"
SESSION, USER, ROUTE = "session-42", "user-7", "refunds"
RESULT = '{"status": "shipped"}'
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_order",
            "description": "Look up an order.",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string"}},
                "required": ["order_id"],
            },
        },
    }
]


def direct(client: openai.OpenAI) -> None:
    """Make the calls that use the client itself."""
    asked: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": QUESTION},
    ]
    client.chat.completions.create(model=MODEL, messages=asked)
    stream = client.chat.completions.create(
        model=MODEL, messages=asked, stream=True, stream_options={"include_usage": True}
    )
    for _chunk in stream:
        continue
    order: list[Any] = [{"role": "user", "content": ORDER}]
    answer = client.chat.completions.create(model=MODEL, messages=order, tools=TOOLS)
    message = answer.choices[0].message
    order.append(message.model_dump(exclude_none=True, include={"role", "tool_calls"}))
    order.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": RESULT})
    client.chat.completions.create(model=MODEL, messages=order, tools=TOOLS)
    client.embeddings.create(model="text-embedding-3-small", input="return policy")


def agent(http_client: Any, callbacks: list[Any], metadata: dict[str, Any]) -> None:
    """Run a LangGraph agent of a model node and a tool node."""

    @tool
    def get_order(order_id: str) -> str:
        """Look up an order."""
        return RESULT if order_id == "O-1001" else "unknown"

    model = ChatOpenAI(model=MODEL, api_key="k", http_client=http_client).bind_tools([get_order])

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def go_on(state: MessagesState) -> str:
        return "act" if state["messages"][-1].tool_calls else END

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("act", ToolNode([get_order]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", go_on, ["act", END])
    graph.add_edge("act", "think")
    config: Any = {"callbacks": callbacks, "metadata": metadata}
    graph.compile().invoke({"messages": [("user", ORDER)]}, config)


def play(library: Any) -> None:
    """Hold the whole conversation under a library of libraries.py."""
    provider = Provider()
    client = openai.OpenAI(api_key="k", http_client=provider.client())
    library.openai_on(client)
    with library.labels():
        direct(client)
    library.before_agent()
    with library.labels():
        agent(provider.client(), library.callbacks(), library.metadata())
    library.flush()
