"""Keys that need an extra: refused with its name where it is not installed."""

import sys
from pathlib import Path

import pytest

from tests.config.samples import faults_of, file_with

TRACING = file_with(tracing="{otlp_endpoint: 'http://otel:4318', sample_ratio: 0.1}")


def test_spans_need_the_extra_otel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    (fault,) = faults_of(tmp_path, TRACING)
    assert fault.startswith("config.yaml:11: tracing.otlp_endpoint: needs the extra otel")
    assert "pip install '.[otel]'" in fault


def test_with_it_they_are_taken(tmp_path: Path) -> None:
    assert not faults_of(tmp_path, TRACING)
