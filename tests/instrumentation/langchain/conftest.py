"""Own the fixtures of the LangChain tests: chat models that answer from a script, and span trees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import Field

USAGE: dict[str, Any] = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}


class ScriptedModel(BaseChatModel):
    """A provider's chat model that answers from a script; an exception in the script is raised."""

    answers: list[Any] = Field(default_factory=lambda: [AIMessage("Hello", usage_metadata=USAGE)])
    model: str = "claude-test"
    during: Any = None
    """Called while the provider's request is out."""
    chunks: list[Any] | None = None
    """What a stream yields, exceptions raised; None streams the answer in one piece."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {
            "ls_provider": "anthropic",
            "ls_model_name": self.model,
            "ls_model_type": "chat",
            "ls_temperature": 0.5,
            "ls_max_tokens": 64,
        }

    def _next(self) -> AIMessage:
        if self.during is not None:
            self.during()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next())])


class StreamingModel(ScriptedModel):
    """The same, with a stream of its own."""

    def _pieces(self) -> Iterator[ChatGenerationChunk]:
        if self.during is not None:
            self.during()
        for chunk in self.chunks or ["Hel", "lo", AIMessageChunk("", usage_metadata=USAGE)]:
            if isinstance(chunk, BaseException):
                raise chunk
            message = chunk if isinstance(chunk, AIMessageChunk) else AIMessageChunk(chunk)
            yield ChatGenerationChunk(message=message)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._pieces()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self._pieces():
            yield piece


class Tree:
    """Spans as the tree they make: names, children in their order of starting."""

    def __init__(self, spans: Sequence[ReadableSpan]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start_time or 0)
        self._ids = {span.context.span_id for span in self.spans if span.context}

    def roots(self) -> list[ReadableSpan]:
        return [s for s in self.spans if s.parent is None or s.parent.span_id not in self._ids]

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        assert parent.context is not None
        wanted = parent.context.span_id
        return [s for s in self.spans if s.parent is not None and s.parent.span_id == wanted]

    def shape(self, spans: Sequence[ReadableSpan] | None = None) -> list[Any]:
        """Return the tree as nested lists: a leaf is its name, a branch (name, [children])."""
        shaped: list[Any] = []
        for span in self.roots() if spans is None else spans:
            below = self.shape(self.children(span))
            shaped.append((span.name, below) if below else span.name)
        return shaped


@pytest.fixture
def traced(record: Callable[..., Any]) -> Any:
    """Return the recorded spans, with everything at its default."""
    return record(langchain=True)


@pytest.fixture
def traced_all(record: Callable[..., Any]) -> Any:
    """Return the recorded spans, plumbing shown."""
    return record(langchain="all")


@pytest.fixture
def tree() -> Callable[[Any], list[Any]]:
    """Return a function that gives the shape of what was recorded."""
    return lambda recorded: Tree(recorded.all()).shape()


@pytest.fixture
def scripted() -> Callable[..., ScriptedModel]:
    return lambda *answers, **fields: ScriptedModel(
        **({"answers": list(answers)} if answers else {}), **fields
    )


@pytest.fixture
def streaming() -> Callable[..., StreamingModel]:
    return lambda *chunks, **fields: StreamingModel(chunks=list(chunks) or None, **fields)


@pytest.fixture
def app_span(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Return a function that opens a span of the app's own, current as long as it is open."""

    def open_span(name: str) -> Any:
        recorded = request.getfixturevalue("traced")
        return recorded.provider.get_tracer("app").start_as_current_span(name)

    return open_span


@pytest.fixture(autouse=True)
def _context_is_restored(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that no test leaves a context attached, or detaches one that is not its own."""
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before
    assert "detach" not in caplog.text
    assert not [r for r in caplog.records if r.name.startswith(("tollway", "langchain_core"))]
