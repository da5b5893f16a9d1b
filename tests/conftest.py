"""Fixtures that several test files use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from tb_numstab.instrument import host
from tests.support.chromium import chromium
from tests.support.runs import SyntheticRun, make_run, write_all

# A busy machine is no finding: whether a test passes never depends on the time it took.
settings.register_profile("tb-numstab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tb-numstab")


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log folder with the four synthetic trainings as runs; not to be written to."""
    return write_all(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def small() -> SyntheticRun:
    """Ten steps of a healthy training."""
    return make_run("healthy", steps=10)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the user has been told in this test so far; a warning of an earlier test may come again."""
    monkeypatch.setattr(host, "_warned", set())
    return lambda: [record.getMessage() for record in caplog.records if record.name == "tb_numstab"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one browser of the session; each test opens pages or contexts of its own in it."""
    with chromium() as running:
        yield running
