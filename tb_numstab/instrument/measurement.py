"""What one part of a step measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tb_numstab.instrument.collector import Rows
from tb_numstab.instrument.options import OnNonfinite
from tb_numstab.schema.ops import OpSite, Role

SOURCE_OFF = 'source="off": this log holds no source lines, and names files without their folders'


@dataclasses.dataclass(frozen=True)
class Measurement:
    """An op table and its rows.

    Attributes:
      sites: the same list object at every step of the same trace; eager tables grow.
      rows: the rows of the first ``len(rows.rows)`` sites.
      variables: id of the variable's handle, by site of its reads and updates.
      takes: ids of the eager tensors from other parts of the step that a site takes in, by site.
      makes: the site of an eager tensor that other parts of the step may take in, by the tensor's id.
      notes: what a reader should know.
      kind: "survey" or "replay", as in StepRecord.
      step: the training step it belongs to; None for the one being logged.
      source_off: whether source lines stay out of the log.
    """

    sites: list[OpSite]
    rows: Rows
    variables: Mapping[int, int]
    takes: Mapping[int, Sequence[int]]
    makes: Mapping[int | None, int]
    notes: tuple[str, ...] = ()
    kind: str = "survey"
    step: int | None = None
    source_off: bool = False

    def noting(self, note: str) -> Measurement:
        """The same with one more note."""
        return dataclasses.replace(self, notes=(*self.notes, note))

    def without_source(self) -> Measurement:
        """The same, to be logged without source lines."""
        return dataclasses.replace(self.noting(SOURCE_OFF), source_off=True)

    def went_bad(self) -> bool:
        """Whether NaN or Inf was measured in a result or an updated variable."""
        bad = np.flatnonzero(self.rows.nonfinite()).tolist()
        return any(self.sites[i].role is Role.UPDATE or self.sites[i].returned for i in bad)


@dataclasses.dataclass(frozen=True)
class MeasuredStep:
    """A step's measurements, ready for the log.

    Attributes:
      number: the training step.
      measurements: at least one.
      on_nonfinite: see ``watch``.
    """

    number: int
    measurements: list[Measurement]
    on_nonfinite: OnNonfinite
