"""source="off": no source text and no folder in the log, whoever writes it; the line is found all the same."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.cli.main import main
from tb_numstab.instrument.measurement import SOURCE_OFF
from tb_numstab.report.answers import answers, route_key
from tb_numstab.store.event_files import read_runs

MARKER = "classified"
"""Stands on every line below that makes an op, and nowhere in the measurements."""

Source = Literal["on", "off"]


def loss_of(w: Any, x: Any) -> Any:
    return tf.reduce_sum(tf.math.log(w * x))  # classified


def a_loop(log_dir: str, source: Source) -> None:
    w = tf.Variable([1.0, 2.0])

    @tb_numstab.watch(every=2, source=source)
    @tf.function
    def step(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(w, x)  # classified
        w.assign_sub(tape.gradient(loss, w))  # classified
        return loss

    with tf.summary.create_file_writer(log_dir).as_default():
        for number in range(4):
            step(tf.constant([1.0, float(number != 3)]))  # step 3 is replayed
            tb_numstab.log_step(number)


def eager_ops(log_dir: str, source: Source) -> None:
    @tb_numstab.watch(every=1, source=source)
    def step(x: tf.Tensor) -> tf.Tensor:
        return loss_of(tf.constant(2.0), x)  # classified

    with tf.summary.create_file_writer(log_dir).as_default():
        step(tf.constant([0.0]))
        tb_numstab.log_step(0)


def keras_fit(log_dir: str, source: Source) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])  # classified
    model.compile("sgd", loss_of)  # classified
    health = tb_numstab.NumericalHealth(log_dir, every=1, source=source)
    model.fit(np.ones((4, 2)), np.zeros((4, 2)), verbose=0, callbacks=[health])  # classified


def a_session(log_dir: str, source: Source) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        w = v1.get_variable("w", initializer=np.zeros(2, np.float32), use_resource=True)  # classified
        train = v1.train.GradientDescentOptimizer(0.1).minimize(loss_of(w, tf.constant(1.0)))  # classified
        hook = tb_numstab.HealthHook(log_dir, every=1, source=source)
        with v1.train.MonitoredSession(hooks=[hook]) as session:
            session.run(train)  # classified


def contents(folder: Path) -> bytes:
    """The bytes of the files below a folder, and of every zlib stream that begins anywhere in them."""

    def inflated(raw: bytes) -> Iterator[bytes]:
        position = -1
        while (position := raw.find(b"\x78", position + 1)) >= 0:
            try:
                yield zlib.decompressobj().decompress(raw[position:])
            except zlib.error:
                continue

    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"".join([*files, *(stream for raw in files for stream in inflated(raw))])


TRAININGS = (a_loop, eager_ops, keras_fit, a_session)


@pytest.mark.parametrize("training", TRAININGS, ids=lambda t: t.__name__)
def test_neither_text_nor_folders_are_in_the_log(training: Callable[[str, Source], None], tmp_path: Path) -> None:
    for source in ("on", "off"):
        training(str(tmp_path / source), source)
    secrets = (MARKER.encode(), str(Path(__file__).parent).encode())
    assert all(secret in contents(tmp_path / "on") for secret in secrets)
    assert not any(secret in contents(tmp_path / "off") for secret in secrets)
    logged, bare = (tb_numstab.load_run(tmp_path / source).findings[0] for source in ("on", "off"))
    assert (bare.rule, bare.first_step) == (logged.rule, logged.first_step)
    assert str(bare.site.source) == f"{Path(__file__).name}:{loss_of.__code__.co_firstlineno + 1}"


def test_readers_say_that_source_was_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("on", "off"):
        a_loop(str(tmp_path / source), source)
    capsys.readouterr()
    assert main(["check", str(tmp_path)]) == 1
    of_off, of_on = capsys.readouterr().out.split("\non: ")
    assert f"note: {SOURCE_OFF}" in " ".join(of_off.split())
    assert "note:" not in of_on
    main(["check", str(tmp_path), "--json"])
    assert [run["notes"] for run in json.loads(capsys.readouterr().out)["runs"]] == [[SOURCE_OFF], []]
    pages = answers(read_runs(str(tmp_path))).texts  # what the report holds, and the tab gets from the routes
    overviews = (json.loads(pages[route_key("overview", run=source)]) for source in ("on", "off"))
    assert [overview["notes"] for overview in overviews] == [[], [SOURCE_OFF]]


def test_another_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"source must be one of \('on', 'off'\); got 'no'"):
        tb_numstab.watch(source="no")  # type: ignore[call-overload]
