"""Every kind of training step: untouched bit for bit, and its NaN named at the very step and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.instrument.kinds import BAD, Kind, Watched, Watching, eager, functions, origin_line

KINDS = [*functions.KINDS, *eager.KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_nan_is_named_and_training_is_untouched(kind: Kind, tmp_path: Path) -> None:
    plain, watched = Watching(), Watched(tmp_path)
    expected = [np.asarray(v).tobytes() for v in kind(plain)]
    found = [np.asarray(v).tobytes() for v in kind(watched)]

    assert found == expected
    assert watched.health is not None and not watched.health.ok
    origin, finding = watched.health.origin, watched.health.findings[0]
    assert origin is not None and finding.site.source is not None
    assert (finding.site.source.file, finding.site.source.line) == origin_line(kind)
    assert origin.step == BAD
    assert watched.measured[0] == 0 and BAD - 1 not in watched.measured
