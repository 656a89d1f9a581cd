"""The official Node OTLP exporters, all three, into the real processor."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

APP = Path(__file__).parent / "node"
MODULES = Path(__file__).parents[2] / ".venv-node"
DEADLINE_S = 120
SPANS = 1500  # three exports of the batch processor


@pytest.fixture(scope="module")
def app():
    """The app beside its installed packages; installed once and kept."""
    MODULES.mkdir(exist_ok=True)
    wanted, installed = (APP / "package.json").read_text(), MODULES / "installed.json"
    if not installed.exists() or installed.read_text() != wanted:
        shutil.copy(APP / "package.json", MODULES)
        told = subprocess.run(
            ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=MODULES, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        installed.write_text(wanted)
    shutil.copy(APP / "send.mjs", MODULES)
    return MODULES / "send.mjs"


@pytest.fixture(scope="module")
def served(serve_module):
    return serve_module()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["http", "proto", "grpc"])
def test_every_span_is_stored_as_it_was_sent(app, served, kind, compression):
    urls = {"grpc": f"http://{served.addresses['grpc']}"}
    url = urls.get(kind, f"{served.http}/v1/traces")
    told = subprocess.run(
        ["node", str(app), kind, url, compression, str(SPANS)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    sent = json.loads(told.stdout)
    stored = served.rows(f"SELECT * FROM spans WHERE trace_id = '{sent['trace_id']}'")
    assert sorted(row["span_id"] for row in stored) == sorted(sent["span_ids"])
    by_id = {row["span_id"]: row for row in stored}
    root, tenth = by_id[sent["span_ids"][-1]], by_id[sent["span_ids"][9]]
    assert (root["route"], root["scope_name"]) == (f"node-{kind}", "node-app")
    assert tenth["parent_span_id"] == root["span_id"]
    assert (tenth["input_tokens"], tenth["kind"], tenth["status"]) == (10, "CLIENT", "ERROR")
    assert tenth["status_message"] == "rate limited"
    assert tenth["finish_reasons"] == ["stop"]
    assert tenth["attributes"] == {
        "app.ratio": "0.5", "app.cached": "true", "app.text": "grüße 🚀\n",
    }  # fmt: skip
    assert tenth["event_names"] == ["token"]
    assert float(tenth["cost_usd"]) > 0
