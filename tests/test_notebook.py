"""load_run: a run as numpy arrays, with its findings."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tb_numstab.analysis.finding import Status
from tb_numstab.report.notebook import load_run
from tb_numstab.schema.columns import COLUMNS
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import SESSION, Recorder


def test_columns_are_steps_by_slots(logdir: Path) -> None:
    run = load_run(logdir / "nan_softmax_log")
    written = make_run("nan_softmax_log")
    assert run.steps.tolist() == list(range(80))
    nans = run.column("nan")
    assert nans.shape == (80, len(run.table)) == (80, 81)
    np.testing.assert_array_equal(nans, [record.column("nan") for record in written.records])
    log = written.slot("Log")
    assert run.column("neg_inf")[57, log] > 0
    np.testing.assert_array_equal(run.record(57).column("neg_inf"), written.records[57].column("neg_inf"))


def test_slots_that_a_step_did_not_measure_are_nan(small: SyntheticRun, tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.ops(small.sites[:10]).ops(small.sites[10:])
        first = small.records[0]
        keep = first.slots < 10
        recorder.step(type(first)(SESSION, 0, 1.0, first.slots[keep], first.rows[keep], first.histogram[keep]))
        recorder.step(small.records[1])
    size = load_run(tmp_path).column("size")
    assert not np.isnan(size[0, :10]).any() and np.isnan(size[0, 10:]).all()
    assert not np.isnan(size[1]).any()


def test_findings_and_verdict(logdir: Path) -> None:
    run = load_run(str(logdir), run="nan_softmax_log")
    assert run.verdict.status is Status.BROKEN
    assert (run.findings[0].rule, run.findings[0].first_step) == ("log-of-zero", 57)
    assert repr(run) == "<Run 'nan_softmax_log': broken, 1 finding, 80 steps of 81 tensors>"


def test_one_entry_for_each_slot_of_each_step(logdir: Path) -> None:
    table = load_run(logdir / "healthy").as_columns()
    assert {len(values) for values in table.values()} == {80 * 81}
    assert list(table) == ["step", "slot", "op_type", "name", "layer", "source", *(c.name for c in COLUMNS)]
    row = 3 * 81 + 5
    assert (table["step"][row], table["slot"][row]) == (3, 5)
    matmul = table["op_type"] == "MatMul"
    assert set(table["source"][matmul]) == {"train.py:33", "train.py:34", "train.py:35", "train.py:40"}


def test_what_other_formats_would_do(logdir: Path) -> None:
    told = load_run(logdir / "healthy").precision()
    assert told[0] == "Either 16-bit format would do, with the weights kept in float32."
    assert [sentence.partition(":")[0] for sentence in told[1:]] == ["bfloat16", "float16"]


class _Texts(HTMLParser):
    """Collects the names of elements and what they say."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_notebook_shows_the_findings(logdir: Path) -> None:
    shown = _Texts(load_run(logdir / "nan_softmax_log")._repr_html_())
    assert shown.tags <= {"p", "b", "table", "thead", "tbody", "tr", "th", "td"}
    for text in (".: broken.", "error", "train.py:38", "57–79"):
        assert text in shown.text.splitlines()


def test_hostile_run_name_stays_text(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path / "<img src=x onerror=alert(1)>")
    shown = _Texts(load_run(tmp_path)._repr_html_())
    assert "img" not in shown.tags
    assert "<img src=x onerror=alert(1)>: healthy." in shown.text


def test_folder_with_several_runs_wants_a_name(logdir: Path) -> None:
    with pytest.raises(ValueError, match="give one as run=: absorbed_updates, fp16_overflow, healthy, nan_softmax_log"):
        load_run(logdir)


def test_what_is_not_there(logdir: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder /.*: give the folder that was given to Num"):
        load_run(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds no step record of tb-numstab: give the folder that was"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match="no measured run 'train'; it has absorbed_updates, fp16"):
        load_run(logdir, run="train")
    with pytest.raises(LookupError, match='no session "other"'):
        load_run(logdir, run="healthy", session="other")
    with pytest.raises(KeyError):
        load_run(logdir, run="healthy").column("nans")
