import base64
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import encode_record
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views import health_map
from tb_numstab.views.health_map import Window, map_order, map_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Subject, Subjects
from tb_numstab.views.timeline import INF, NAN
from tests.support.synthetic import SESSION
from tests.views.subjects import synthetic
from tests.views.test_timeline import record


def cells(view: Json, name: str) -> NDArray[np.uint8]:
    raw = np.frombuffer(base64.b64decode(view[name]), np.uint8)
    return raw.reshape(len(view["rows"]), len(view["columns"]))


def groups_run(groups: int, ops_per_group: int, steps: int) -> Subject:
    """A run of MatMuls in layers whose largest exponent is the slot's number plus the step."""
    table = [OpSite("MatMul", f"m{i}", layer=f"layer_{i // ops_per_group}") for i in range(groups * ops_per_group)]
    records = [record(s, **{f"s{i}": dict(max_exp=i + s - 60) for i in range(len(table))}) for s in range(steps)]
    session = Session(SESSION, "", table, list(range(steps)), [encode_record(r) for r in records])
    return Subjects().get(RunData("r", [session]))


def test_one_row_a_tensor_where_they_fit(broken: Subject) -> None:
    view = map_view(broken, Window())
    order = map_order(broken.ops)
    assert [row["op"]["key"] for row in view["rows"]] == [broken.ops.keys[slot] for slot in order]
    assert view["columns"] == [[step, step] for step in range(80)]
    log = order.tolist().index(synthetic("nan_softmax_log").slot("Log"))
    marks = cells(view, "marks")[log]
    assert [bool(m & (NAN | INF)) for m in marks] == [step >= 57 for step in range(80)]


def test_cells_hold_bits_to_each_limit() -> None:
    subject = groups_run(1, 4, 3)
    view = map_view(subject, Window())
    expected = np.array([[i + s - 60 for s in range(3)] for i in range(4)])
    top, bottom = FORMATS["float32"].max_exp, FORMATS["float32"].min_exp
    assert (cells(view, "over") == top - expected + 1).all()
    assert (cells(view, "under") == expected - bottom + 1).all()


@pytest.mark.parametrize(("groups", "ops", "rows"), [(3, 2, 6), (6, 5, 6), (40, 5, 10), (1, 60, 10)])
def test_rows_are_tensors_then_groups_then_bundles(
    monkeypatch: pytest.MonkeyPatch, groups: int, ops: int, rows: int
) -> None:
    monkeypatch.setattr(health_map, "MAX_ROWS", 10)
    view = map_view(groups_run(groups, ops, 2), Window())
    assert len(view["rows"]) == rows
    edges = [(row["first"], row["last"]) for row in view["rows"]]
    assert edges[0][0] == 0
    assert edges[-1][1] == groups * ops == view["total_rows"]
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    # The worst of what a row covers is its last tensor, the one nearest to overflow.
    assert cells(view, "over")[:, 0].tolist() == [max(127 - (last - 1 - 60), 0) + 1 for _, last in edges]


def test_a_row_tells_the_worst_finding_about_its_tensors(monkeypatch: pytest.MonkeyPatch, broken: Subject) -> None:
    rows = map_view(broken, Window())["rows"]
    named = {broken.ops.keys[f.slot]: f.severity.value for f in reversed(broken.findings)}
    assert {row["op"]["key"]: row["severity"] for row in rows if row["severity"]} == named
    monkeypatch.setattr(health_map, "MAX_ROWS", 10)
    bundles = map_view(broken, Window())["rows"]
    assert [row["severity"] for row in bundles].count("error") == list(named.values()).count("error") == 1


def test_a_rows_range_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_map, "MAX_ROWS", 10)
    subject = groups_run(40, 5, 2)
    bundle = map_view(subject, Window())["rows"][3]
    groups = map_view(subject, Window(rows=(bundle["first"], bundle["last"])))["rows"]
    assert [row["group"] for row in groups] == [f"layer_{i}" for i in range(12, 16)]
    tensors = map_view(subject, Window(rows=(groups[0]["first"], groups[0]["last"])))["rows"]
    assert [row["op"]["name"] for row in tensors] == [f"m{i}" for i in range(60, 65)]


def test_steps_are_windowed_and_bundled_by_their_worst() -> None:
    subject = groups_run(1, 2, 10)
    assert map_view(subject, Window(steps=(3, 6)))["columns"] == [[3, 3], [4, 4], [5, 5]]
    view = map_view(subject, Window(), max_columns=5)
    assert view["columns"] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert cells(view, "over")[0].tolist() == [127 - (last - 60) + 1 for _, last in view["columns"]]


@pytest.mark.parametrize("window", [Window(rows=(500, 900)), Window(rows=(-9, 1)), Window(steps=(900, 901))])
def test_a_window_beside_the_data_is_no_error(window: Window) -> None:
    view = map_view(groups_run(1, 4, 2), window)
    assert cells(view, "marks").shape == (len(view["rows"]), len(view["columns"]))


def test_what_is_not_known_is_zero() -> None:
    session = Session(SESSION, "", [OpSite("Log", "l"), OpSite("Log", "m")], [0], [encode_record(record(0, s0={}))])
    view = map_view(Subjects().get(RunData("r", [session])), Window())
    assert cells(view, "over").tolist() == [[0], [0]]
    assert cells(view, "marks").tolist() == [[1], [0]]
