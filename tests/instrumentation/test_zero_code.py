"""Zero-code start-up: `opentelemetry-instrument` finds both instrumentors by their entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import tollway

APP = """
import json
import openai
try:
    import httpx2 as http
except ImportError:
    import httpx as http
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
body = {"id": "c", "object": "chat.completion", "model": "m", "choices": []}
transport = http.MockTransport(lambda request: http.Response(200, json=body))
client = openai.OpenAI(api_key="k", http_client=http.Client(transport=transport))
client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])

try:
    from langchain_core.tools import tool
except ImportError:
    print(json.dumps(["chat m", 1]))
    raise SystemExit

@tool
def look(word: str) -> str:
    "Look a word up."
    return word

look.invoke({"word": "x"})
names = [span.name for span in exporter.get_finished_spans()]
print(json.dumps([names[0], len(names) - 1]))
"""
ENTRY_POINTS = """[opentelemetry_instrumentor]
tollway_openai = tollway.instrumentors:OpenAIInstrumentor
tollway_langchain = tollway.instrumentors:LangChainInstrumentor
"""


def test_opentelemetry_instrument_picks_both_up(tmp_path: Path) -> None:
    info = tmp_path / "tollway-0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tollway\nVersion: 0.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    app = tmp_path / "app.py"
    app.write_text(APP)
    library = str(Path(tollway.__file__).parents[1])
    path = os.pathsep.join([str(tmp_path), library, os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    env.pop("PYTEST_CURRENT_TEST", None)
    starter = "opentelemetry.instrumentation.auto_instrumentation"
    done = subprocess.run(
        [sys.executable, "-c", f"from {starter} import run; run()", sys.executable, str(app)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["chat m", 1], done.stderr
