"""RunLog: measurements to records, and to a verdict."""

from __future__ import annotations

import dataclasses
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.analysis.rules.generic import ORIGIN_UNKNOWN
from tb_numstab.instrument.cluster import worker
from tb_numstab.instrument.console import Console, NonFiniteError
from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import reason, step_aside, warn_once
from tb_numstab.instrument.measurement import MeasuredStep, Measurement
from tb_numstab.instrument.options import OnNonfinite
from tb_numstab.instrument.slot_table import SlotTable
from tb_numstab.instrument.writers import Sink, removed_files
from tb_numstab.schema.names import PART_BYTES, new_session, ops_tag, steps_tag
from tb_numstab.schema.op_table import OpTableChunk, encode_ops
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord, encode_record

FLUSH_SECONDS = 10.0
"""Longest time a record waits in the writer's buffer; a first bad event never waits."""


class RunLog:
    """One session: its op table, its records, its running analysis.

    Attributes:
      watchers: those whose steps were logged and that are still there.
      step: the last step logged.
    """

    def __init__(self, sink: Sink | None) -> None:
        """Starts a session; without a sink it only analyses."""
        self._sink = sink
        self._session = new_session()
        self.watchers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.step = -1
        self._engine = Engine()
        self._table = SlotTable()
        self._chunks = self._records = 0
        self._part = self._part_bytes = 0
        self._flushed = time.monotonic()
        self._measured: int | None = None  # the last step that has a record
        self._ok = True
        self._findings: tuple[Finding, ...] = ()
        self._verdict = self._engine.verdict()
        self._console = Console()

    def is_over(self, step: int, watchers: Sequence[Any]) -> bool:
        """Whether callables that are all new, at an earlier step, show that another training has begun."""
        return step < self.step and bool(watchers) and not any(w in self.watchers for w in watchers)

    def take_in(self, step: int, watchers: Sequence[Any]) -> None:
        """Notes who logs which step."""
        self.step = step
        self.watchers.update(watchers)

    def write(self, measured: MeasuredStep) -> None:
        """Analyses the measurements of a step, writes its record and tells what is new.

        Raises:
          NonFiniteError: the first NaN or Inf was found and ``on_nonfinite`` is "raise".
        """
        known = self._nonfinite()
        try:
            self._judge(measured)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside("this step is not logged", error)
            return
        self._tell(measured.on_nonfinite, new=not known)

    def _judge(self, measured: MeasuredStep) -> None:
        record = self._record(measured.number, measured.measurements)
        had_origin, was_ok = self._engine.origin is not None, self._ok
        self._engine.feed(record)
        origin = self._engine.origin
        if origin is not None:
            record = dataclasses.replace(record, first_nonfinite=(origin.step, origin.slot))
        self._write_record(record)
        self._measured = measured.number
        self._findings = tuple(self._engine.findings())
        self._verdict = self._engine.verdict()
        self._ok = all(f.severity is not Severity.ERROR for f in self._findings)
        self.flush(urgent=(was_ok and not self._ok) or (origin is not None and not had_origin))

    def _tell(self, on_nonfinite: OnNonfinite, new: bool) -> None:
        nonfinite = self._nonfinite()
        if nonfinite and new and on_nonfinite == "raise":
            raise NonFiniteError(nonfinite[0])
        self._console.say(f for f in self._findings if on_nonfinite != "ignore" or f not in nonfinite)

    def _nonfinite(self) -> list[Finding]:
        """The findings about the first NaN or Inf, its origin known or not."""
        origin, unknown = self._engine.origin, ORIGIN_UNKNOWN.id
        return [f for f in self._findings if f.rule == unknown or (origin is not None and f.slot == origin.slot)]

    def health(self, step: int) -> StepHealth:
        """The health after a step."""
        self.flush(urgent=False)
        return StepHealth(step, self._measured == step, self._ok, self._findings, self._engine.origin, self._verdict)

    def _record(self, step: int, measurements: Sequence[Measurement]) -> StepRecord:
        self._add_ops(self._table.extend(measurements), step)
        slots, rows = self._table.rows(measurements)
        return StepRecord(
            session=self._session,
            worker=worker(),
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
        chunk = OpTableChunk(self._session, self._table.size - len(sites), tuple(sites), worker())
        self._write(ops_tag(self._session, self._chunks), encode_ops(chunk), step)
        self._engine.extend(sites)
        self._chunks += 1

    def _write_record(self, record: StepRecord) -> None:
        data = encode_record(record)
        if self._part_bytes + len(data) > PART_BYTES and self._part_bytes:
            self._part, self._part_bytes = self._part + 1, 0
        self._write(steps_tag(self._session, self._part), data, record.step)
        self._part_bytes += len(data)
        self._records += 1

    def _write(self, tag: str, data: bytes, step: int) -> None:
        if self._sink is not None:
            with _survived():
                self._sink.write(tag, data, step)
            for path in removed_files():
                warn_once(f"{path} was removed while TensorFlow writes to it: what is logged there is lost")

    def flush(self, urgent: bool = True) -> None:
        """Makes everything written so far readable; unless urgent, only when that is some seconds old."""
        if self._sink is not None and (urgent or time.monotonic() - self._flushed >= FLUSH_SECONDS):
            self._flushed = time.monotonic()
            with _survived():
                self._sink.flush()


@contextmanager
def _survived() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a full disk is an IndexError to a writer of TensorFlow 1
        warn_once(
            f"the log could not be written, training goes on: {reason(error)}. What is logged meanwhile is lost, "
            "and TensorBoard may not read on behind the gap"
        )
