"""Own the benchmark of the library: what it adds to a call, beside the other instrumentations.

`python tests/bench/instrumentation.py` prints a table of what is importable here, and of what
`python tests/bench/peers.py` has installed in environments of their own. Each row is two child
processes of one environment, with and without the instrumentation, that take turns; shown is the
difference of their medians.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-peers"
SCENARIOS = ("chat", "stream", "chain", "unrecorded")
# Calls of one turn: few, so that the two processes see the same machine.
CALLS = {"chat": 30, "stream": 3, "chain": 20, "unrecorded": 30}
TARGETS = {"chat": 120, "stream": 900, "chain": 450, "unrecorded": 15, "import": 50}
# On a busy machine the CPU time of the calling thread is the steadier measure.
CLOCKS = {"wall": time.perf_counter_ns, "cpu": time.thread_time_ns}
CLOCK_VARIABLE = "TOLLWAY_BENCH_CLOCK"

Job = Callable[[], Any]


# --- what a child process runs ---------------------------------------------------------------


def _provider(is_recording: bool) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Drop(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ALWAYS_ON if is_recording else ALWAYS_OFF)
    provider.add_span_processor(BatchSpanProcessor(Drop(), max_queue_size=100_000))
    return provider


def _client() -> Any:
    import openai

    http: Any = importlib.import_module("httpx2" if int(openai.__version__[0]) >= 3 else "httpx")
    head = {"id": "c", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
    usage = {"prompt_tokens": 40, "completion_tokens": 200, "total_tokens": 240}
    message = {"role": "assistant", "content": "A sentence of some words. " * 8}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    chat = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    chunks: list[dict[str, Any]] = [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
        }
        for _ in range(200)
    ]
    whole = json.dumps(chat).encode()
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    streamed = events.encode()

    def answer(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            head = {"content-type": "text/event-stream"}
            return http.Response(200, headers=head, content=streamed)
        return http.Response(200, headers={"content-type": "application/json"}, content=whole)

    return openai.OpenAI(api_key="k", http_client=http.Client(transport=http.MockTransport(answer)))


def _chain() -> Job | None:
    try:
        from langchain_core.language_models import FakeListChatModel
        from langchain_core.output_parsers import StrOutputParser
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_core.runnables import RunnableLambda
    except ImportError:
        return None
    prompt = ChatPromptTemplate.from_messages([("user", "Say {word}")])
    model = FakeListChatModel(responses=["yes"])
    tail = RunnableLambda(lambda text: text.upper()) | RunnableLambda(lambda text: text + "!")
    steps = prompt | model | StrOutputParser() | tail
    return lambda: steps.invoke({"word": "hello"})


def _start_tollway(provider: Any) -> None:
    import tollway

    tollway.instrument(tracer_provider=provider, langchain="all")


def _start_peer(*modules: str) -> Callable[[Any], None]:
    def start(provider: Any) -> None:
        for name in modules:
            module, _, kind = name.partition(":")
            getattr(importlib.import_module(module), kind)().instrument(tracer_provider=provider)

    return start


OPENAI, LANGCHAIN = "OpenAIInstrumentor", "LangChainInstrumentor"
LIBRARIES: dict[str, Callable[[Any], None]] = {
    "tollway": _start_tollway,
    "openinference": _start_peer(
        f"openinference.instrumentation.openai:{OPENAI}",
        f"openinference.instrumentation.langchain:{LANGCHAIN}",
    ),
    "openllmetry": _start_peer(
        f"opentelemetry.instrumentation.openai:{OPENAI}",
        "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
    ),
    "openai-v2": _start_peer(f"opentelemetry.instrumentation.openai_v2:{OPENAI}"),
    "genai": _start_peer(
        f"opentelemetry.instrumentation.genai.openai:{OPENAI}",
        f"opentelemetry.instrumentation.genai.langchain:{LANGCHAIN}",
    ),
    "traceai": _start_peer(f"traceai_openai:{OPENAI}", f"traceai_langchain:{LANGCHAIN}"),
}


def _jobs(client: Any) -> dict[str, Job]:
    # Looked up at each call: some instrumentations replace the resource's method.
    def ask(**more: Any) -> Any:
        return client.chat.completions.create(**question, **more)

    question = {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the refund policy for damaged goods? " * 4},
        ],
    }
    jobs: dict[str, Job] = {
        "chat": ask,
        "stream": lambda: list(ask(stream=True)),
        "unrecorded": ask,
    }
    chain = _chain()
    return {**jobs, "chain": chain} if chain is not None else jobs


def _median_us(job: Job, calls: int, clock_ns: Callable[[], int]) -> float:
    took = []
    gc.collect()
    for _ in range(calls):
        began_ns = clock_ns()
        job()
        took.append(clock_ns() - began_ns)
    return statistics.median(took) / 1000


def child(library: str, is_recording: bool) -> None:
    """Run scenarios as the parent names them on stdin; answer each with its median in µs."""
    from opentelemetry import trace

    clock_ns = CLOCKS[os.environ.get(CLOCK_VARIABLE, "wall")]
    provider = _provider(is_recording)
    trace.set_tracer_provider(provider)
    jobs = _jobs(_client())
    if library != "none":
        LIBRARIES[library](provider)
    for job in jobs.values():
        for _ in range(5):
            job()
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        took = _median_us(jobs[name], CALLS[name], clock_ns) if name in jobs else None
        print(json.dumps(took), flush=True)


# --- what the parent does --------------------------------------------------------------------


class Child:
    """One measuring process."""

    def __init__(self, python: str, library: str, is_recording: bool) -> None:
        command = [python, __file__, "--child", library]
        if not is_recording:
            command.append("--unrecorded")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(),
        )
        assert self._process.stdout is not None
        self.is_ready = self._wait_ready()

    def run(self, scenario: str) -> float | None:
        """Run one round of a scenario; None where it cannot."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(scenario + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line.startswith(tuple("0123456789")) else None

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _wait_ready(self) -> bool:
        assert self._process.stdout is not None
        return any(line.strip() == "ready" for line in iter(self._process.stdout.readline, ""))


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "instrumentation"), os.environ.get("PYTHONPATH", "")])
    capture = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
    return {**os.environ, **capture, "PYTHONPATH": path}


def overhead_us(python: str, library: str, rounds: int) -> dict[str, float | None]:
    """Return what a library adds to each scenario, in µs: the median over rounds, taking turns."""
    found: dict[str, float | None] = {}
    for is_recording, scenarios in ((True, SCENARIOS[:3]), (False, SCENARIOS[3:])):
        pair = [Child(python, name, is_recording) for name in ("none", library)]
        if not all(one.is_ready for one in pair):
            return {}
        for scenario in scenarios:
            turns = [[one.run(scenario) for one in pair] for _ in range(rounds)]
            added = [b - a for a, b in turns if a is not None and b is not None]
            found[scenario] = statistics.median(added) if added else None
        for one in pair:
            one.stop()
    return found


IMPORTS = {
    "tollway": "import tollway",
    "openinference": "import openinference.instrumentation.openai, openinference.instrumentation.langchain",
    "openllmetry": "import opentelemetry.instrumentation.openai, opentelemetry.instrumentation.langchain",
    "openai-v2": "import opentelemetry.instrumentation.openai_v2",
    "genai": "import opentelemetry.instrumentation.genai.openai, opentelemetry.instrumentation.genai.langchain",
    "traceai": "import traceai_openai, traceai_langchain",
}


def import_ms(python: str, library: str, rounds: int) -> float:
    """Return how long a library's import takes in a fresh process, in ms: the median."""
    code = (
        "import time; began = time.perf_counter(); "
        f"{IMPORTS[library]}; print((time.perf_counter() - began) * 1000)"
    )
    took = [
        float(
            subprocess.run(
                [python, "-W", "ignore", "-c", code],
                env=_environment(),
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
        )
        for _ in range(rounds)
    ]
    return statistics.median(took)


def _pythons() -> dict[str, str]:
    """Return the interpreter of each library that can be measured."""
    found = {"tollway": sys.executable}
    for name in LIBRARIES:
        own = PEERS / name / "bin" / "python"
        if own.exists():
            found[name] = str(own)
        elif name != "tollway" and _is_importable(sys.executable, name):
            found[name] = sys.executable
    return found


def _is_importable(python: str, library: str) -> bool:
    tried = subprocess.run(
        [python, "-c", IMPORTS[library]], env=_environment(), capture_output=True, check=False
    )
    return tried.returncode == 0


def _row(cells: list[Any]) -> str:
    shown = [
        "-" if cell is None else f"{cell:.0f}" if isinstance(cell, float) else str(cell)
        for cell in cells
    ]
    return f"{shown[0]:<15}" + "".join(f"{cell:>14}" for cell in shown[1:])


def profile(rounds: int, clock: str) -> None:
    """Print what the bare SDK takes for the same work, step by step, beside Tollway."""
    import floor
    from openai._base_client import SyncAPIClient

    jobs, clock_ns = _jobs(_client()), CLOCKS[clock]
    kinds = (
        ("chat", True, floor.recorded),
        ("stream", True, floor.streamed),
        ("unrecorded", False, floor.unrecorded),
    )
    print(f"Added per call: median µs ({clock} clock), and bytecodes, which no other load changes.")
    print("Each line has all of the ones above it; a stream's span and watching are told apart.")
    for name, is_recording, ways in kinds:
        one = floor.Floor(SyncAPIClient, jobs[name], lambda on=is_recording: _provider(on))
        steps = ways(one)
        took = one.measure(steps, rounds, CALLS[name], clock_ns)
        alone = one.bytecodes(one.as_it_is())
        print(f"\n{name} (target {TARGETS[name]} µs)")
        for step, added_us in took.items():
            added = one.bytecodes(steps[step]) - alone
            print(f"  {step:<44}{added_us:>8.0f}{added:>10,}")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", choices=["none", *LIBRARIES])
    parser.add_argument("--unrecorded", action="store_true")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", choices=list(LIBRARIES), nargs="*")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--profile", action="store_true", help="the floor below the numbers")
    given = parser.parse_args()
    if given.profile:
        profile(given.rounds, given.clock)
        return
    if given.child:
        child(given.child, not given.unrecorded)
        return
    os.environ[CLOCK_VARIABLE] = given.clock
    print(f"Added per call, median µs ({given.clock} clock); import in ms.")
    print("Content captured, spans batched and dropped.\n")
    print(_row(["", "chat", "stream of 200", "chain of 5", "not recorded", "import ms"]))
    for library, python in _pythons().items():
        if given.only and library not in given.only:
            continue
        added = overhead_us(python, library, given.rounds)
        took_ms = import_ms(python, library, 7)
        print(_row([library, *(added.get(name) for name in SCENARIOS), took_ms]), flush=True)
    print(_row(["target", *(TARGETS[name] for name in (*SCENARIOS, "import"))]))


if __name__ == "__main__":
    main()
