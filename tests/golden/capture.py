"""Capture the golden fixtures anew: each library in an environment of its own, what it sent kept.

`python tests/golden/capture.py [NAME …]` makes the environments under .venv-versions/golden (or
--environments DIR), plays the conversation in each, and writes NAME.traces.pb.gz and, where the
library tells content in log events, NAME.logs.pb.gz.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import threading
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(Path(__file__).parent))

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMON = (
    "openai>=2",
    "langgraph",
    "langchain-openai",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)
# What a resource tells of the machine that captured it is nobody's business.
KEPT_OF_RESOURCE = (
    "service.name",
    "telemetry.sdk.name",
    "telemetry.sdk.language",
    "telemetry.distro.name",
)
CHILD = """
import sys
sys.path[:0] = [{here!r}, *{extra!r}]
import conversation, libraries
conversation.play(libraries.LIBRARIES[{name!r}]({endpoint!r}))
"""


class Sink(ThreadingHTTPServer):
    """Keeps the bodies of what is posted to it, by signal."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Reader)
        self.traces: list[bytes] = []
        self.logs: list[bytes] = []


class _Reader(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        kept = {"traces": self.server.traces, "logs": self.server.logs}
        kept.get(self.path.rstrip("/").rpartition("/")[2], []).append(body)
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def environment(folder: Path, packages: tuple[str, ...]) -> Path:
    """Return the interpreter of an environment with these packages, made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        wanted = packages if any(p.startswith("openai") for p in packages) else (*COMMON, *packages)
        command = [str(python), "-m", "pip", "install", "--quiet", *COMMON[3:], *wanted]
        subprocess.run(command, check=True)
    return python


def capture(name: str, python: Path, extra: list[str]) -> None:
    """Play the conversation under a library and write what it sent."""
    sink = Sink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{sink.server_port}"
    code = CHILD.format(here=str(HERE), extra=extra, name=name, endpoint=endpoint)
    try:
        subprocess.run([str(python), "-c", code], check=True, timeout=120)
    finally:
        sink.shutdown()
    traces = ExportTraceServiceRequest.FromString(b"".join(sink.traces))
    logs = ExportLogsServiceRequest.FromString(b"".join(sink.logs))
    spans = sum(len(s.spans) for r in traces.resource_spans for s in r.scope_spans)
    print(f"{name}: {spans} spans, {len(logs.resource_logs)} log requests")
    for resource in [
        *(r.resource for r in traces.resource_spans),
        *(r.resource for r in logs.resource_logs),
    ]:
        kept = [a for a in resource.attributes if a.key in KEPT_OF_RESOURCE]
        del resource.attributes[:]
        resource.attributes.extend(kept)
    _write(HERE / f"{name}.traces.pb.gz", traces.SerializeToString())
    if logs.resource_logs:
        _write(HERE / f"{name}.logs.pb.gz", logs.SerializeToString())


def _write(path: Path, body: bytes) -> None:
    path.write_bytes(gzip.compress(body, mtime=0))


def main() -> int:
    """Capture the libraries named on the command line, else all."""
    from libraries import LIBRARIES

    parser = argparse.ArgumentParser(description="Capture the golden fixtures anew.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-versions" / "golden")
    told = parser.parse_args()
    failed = []
    for name in told.names or list(LIBRARIES):
        packages = LIBRARIES[name].packages
        here = [p for p in sys.path if "site-packages" in p or p.startswith(str(ROOT))]
        try:
            python = (
                environment(told.environments / name, packages)
                if packages
                else Path(sys.executable)
            )
            capture(name, python, [] if packages else here)
        except subprocess.SubprocessError as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
