"""Own the peers' environments: one each under .venv-peers/, for the benchmark to run them in.

`python tests/bench/peers.py` installs what is missing; `python tests/bench/instrumentation.py`
then shows them in its table. "rotel" is the peer of tests/bench/ingest.py.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PEERS = Path(__file__).resolve().parents[2] / ".venv-peers"
COMMON = ("openai>=3", "langchain-core>=1", "opentelemetry-sdk")
PACKAGES: dict[str, tuple[str, ...]] = {
    "openinference": (
        "openinference-instrumentation-openai",
        "openinference-instrumentation-langchain",
    ),
    "openllmetry": (
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-langchain",
    ),
    # Its own requirement leaves out that version 1 of the shared package moved what it imports.
    "openai-v2": ("opentelemetry-instrumentation-openai-v2", "opentelemetry-util-genai<1"),
    "genai": (
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry-instrumentation-genai-langchain",
    ),
    "traceai": ("traceAI-openai", "traceAI-langchain"),
}
ALONE = {"rotel": ("rotel==0.0.1a15",)}  # a program: none of COMMON


def _wanted(name: str) -> tuple[str, ...]:
    return ALONE[name] if name in ALONE else (*COMMON, *PACKAGES[name])


def install(name: str) -> bool:
    """Install one peer into an environment of its own; return whether it is there now."""
    home = PEERS / name
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", *_wanted(name)]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Install the peers named on the command line, else all."""
    names = sys.argv[1:] or [*PACKAGES, *ALONE]
    missing = [name for name in names if not install(name)]
    for name in missing:
        print(f"{name}: not installed", file=sys.stderr)
    return 1 if len(missing) == len(names) else 0


if __name__ == "__main__":
    raise SystemExit(main())
