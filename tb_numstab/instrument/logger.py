"""``log_step``: measurements to one summary event, and to a verdict."""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import summary_ops_v2

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.instrument.console import Console, NonFiniteError
from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import warn_once
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.options import OnNonfinite
from tb_numstab.instrument.slot_table import SlotTable
from tb_numstab.instrument.watch import MeasuredStep, measured_steps, take_finished
from tb_numstab.schema.names import PLUGIN_NAME, new_session, ops_tag, steps_tag
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import OpTableChunk, StepRecord, encode_ops, encode_record

FLUSH_SECONDS = 10.0
"""Longest time a record waits in the writer's buffer; a first bad event never waits."""


def log_step(step: Any = None) -> StepHealth:
    """Logs what the watched calls since the last log_step measured, as one summary event.

    Call it once after each training step, where ``tf.summary.scalar`` would stand. On a step that was
    not measured it writes nothing.

    Args:
      step: whole number, the training step; as in ``tf.summary``, the value given to
        ``tf.summary.experimental.set_step`` if None.

    Returns:
      The health of the run so far; also without a default summary writer (then it warns once and
      nothing is written).

    Raises:
      ValueError: neither ``step`` nor a default step is set.
      RuntimeError: called inside a tf.function.
      NonFiniteError: see ``on_nonfinite`` of ``watch``.
    """
    if not tf.executing_eagerly():
        raise RuntimeError("log_step must be called after the training step, outside any tf.function")
    step = tf.summary.experimental.get_step() if step is None else step
    if step is None:
        raise ValueError("log_step needs a step: pass log_step(step) or call tf.summary.experimental.set_step(step)")
    writer = summary_ops_v2._summary_state.writer
    if writer is None:
        warn_once(
            "log_step found no default summary writer, so nothing is logged: "
            "use `with tf.summary.create_file_writer(logdir).as_default():`"
        )
    return log_step_to(writer, int(step))


def log_step_to(writer: Any, step: int) -> StepHealth:
    """log_step for callbacks: to a given writer, which may be None."""
    finished = take_finished()
    log = _log_of(writer, step, [scope.owner for scope in finished])
    for measured in measured_steps(finished, step):
        log.write(measured)
    return log.health(step)


class RunLog:
    """One writer's session: its op table, its records, its running analysis."""

    def __init__(self, writer: Any) -> None:
        self._writer = None if writer is None else weakref.ref(writer)
        self._session = new_session()
        self._owners: weakref.WeakSet[Any] = weakref.WeakSet()
        self._step = -1
        self._engine = Engine()
        self._table = SlotTable()
        self._chunks = self._records = 0
        self._flushed = time.monotonic()
        self._measured: int | None = None  # the last step that has a record
        self._ok = True
        self._findings: tuple[Finding, ...] = ()
        self._verdict = self._engine.verdict()
        self._console = Console()

    def is_over(self, step: int, owners: Sequence[Any]) -> bool:
        """Whether callables that are all new, at an earlier step, show that another training has begun."""
        return step < self._step and bool(owners) and not any(owner in self._owners for owner in owners)

    def take_in(self, step: int, owners: Sequence[Any]) -> None:
        """Notes who logs which step."""
        self._step = step
        self._owners.update(owners)

    def write(self, measured: MeasuredStep) -> None:
        """Analyses the measurements of a step, writes its record and tells what is new.

        Raises:
          NonFiniteError: the first NaN or Inf was found and ``on_nonfinite`` is "raise".
        """
        record = self._record(measured.number, measured.measurements)
        known = self._engine.origin
        self._engine.feed(record)
        origin = self._engine.origin
        if origin is not None:
            record = dataclasses.replace(record, first_nonfinite=(origin.step, origin.slot))
        self._write(steps_tag(self._session), encode_record(record), measured.number)
        self._records += 1
        self._measured = measured.number
        self._findings = tuple(self._engine.findings())
        self._verdict = self._engine.verdict()
        was_ok, self._ok = self._ok, all(f.severity is not Severity.ERROR for f in self._findings)
        self._flush(urgent=(was_ok and not self._ok) or (known is None and origin is not None))
        self._tell(measured.on_nonfinite, new=known is None)

    def _tell(self, on_nonfinite: OnNonfinite, new: bool) -> None:
        origin = self._engine.origin
        nonfinite = [f for f in self._findings if origin is not None and f.slot == origin.slot]
        if nonfinite and new and on_nonfinite == "raise":
            raise NonFiniteError(nonfinite[0])
        self._console.say(f for f in self._findings if on_nonfinite != "ignore" or f not in nonfinite)

    def health(self, step: int) -> StepHealth:
        """The health after a step."""
        self._flush(urgent=False)
        return StepHealth(step, self._measured == step, self._ok, self._findings, self._engine.origin, self._verdict)

    def _record(self, step: int, measurements: Sequence[Measurement]) -> StepRecord:
        self._add_ops(self._table.extend(measurements), step)
        slots, rows = self._table.rows(measurements)
        return StepRecord(
            session=self._session,
            step=step,
            wall_time=time.time(),
            kind=measurements[0].kind,
            slots=slots,
            rows=rows.rows,
            histogram=rows.quantized(),
            notes=tuple(sorted({note for m in measurements for note in m.notes})),
            records_before=self._records,
        )

    def _add_ops(self, sites: list[OpSite], step: int) -> None:
        if not sites:
            return
        chunk = OpTableChunk(self._session, self._table.size - len(sites), tuple(sites))
        self._write(ops_tag(self._session, self._chunks), encode_ops(chunk), step)
        self._engine.extend(sites)
        self._chunks += 1

    def _write(self, tag: str, data: bytes, step: int) -> None:
        writer = self._writer() if self._writer is not None else None
        if writer is None:
            return
        try:
            with writer.as_default(), tf.summary.record_if(True):
                tf.summary.write(tag, tf.constant(data), step=step, metadata=_metadata())
        except (tf.errors.OpError, OSError) as error:
            warn_once(f"the log could not be written, training goes on: {error}")

    def _flush(self, urgent: bool) -> None:
        writer = self._writer() if self._writer is not None else None
        if writer is None or (not urgent and time.monotonic() - self._flushed < FLUSH_SECONDS):
            return
        self._flushed = time.monotonic()
        try:
            writer.flush()
        except (tf.errors.OpError, OSError) as error:
            warn_once(f"the log could not be written, training goes on: {error}")


def _metadata() -> Any:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = PLUGIN_NAME
    metadata.data_class = 2  # DATA_CLASS_TENSOR of tensorboard's summary.proto, which TensorFlow does not export
    return metadata


_lock = threading.Lock()
_logs: weakref.WeakKeyDictionary[Any, RunLog] = weakref.WeakKeyDictionary()
_unwritten = threading.local()


def _log_of(writer: Any, step: int, owners: Sequence[Any]) -> RunLog:
    """The session of a writer; without one, a session of this thread that only analyses.

    Other callables than before that begin at an earlier step are another training: a cell run again, say.
    """
    if writer is None:
        log: RunLog | None = getattr(_unwritten, "log", None)
        if log is None or log.is_over(step - 1, owners):
            log = _unwritten.log = RunLog(None)
    else:
        with _lock:
            log = _logs.get(writer)
            if log is None or log.is_over(step, owners):
                log = _logs[writer] = RunLog(writer)
    log.take_in(step, owners)
    return log
