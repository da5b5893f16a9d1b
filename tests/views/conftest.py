"""Subjects that many tests look at."""

from __future__ import annotations

import pytest

from tb_numstab.views.subject import Subject
from tests.views.subjects import subject_of


@pytest.fixture(scope="session")
def broken() -> Subject:
    """Log gets zero at step 57."""
    return subject_of("nan_softmax_log")


@pytest.fixture(scope="session")
def healthy() -> Subject:
    return subject_of("healthy")
