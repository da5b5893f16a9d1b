"""One op table for a session: the sites of all its traces one after another, and one row per slot and step."""

from __future__ import annotations

import dataclasses
import ntpath
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.collector import Rows
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.schema.columns import INDEX, combine
from tb_numstab.schema.ops import OpSite, Role

Slots = NDArray[np.int64]


class SlotTable:
    """Gives every site of every trace its slot in the session.

    Attributes:
      size: slots given so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._slots: dict[int, Slots] = {}  # id of a site list -> slot of each of its sites
        self._kept: list[list[OpSite]] = []  # keeps those ids in use

    def extend(self, measurements: Sequence[Measurement]) -> list[OpSite]:
        """The sites of one step's measurements that are new, in session slots and linked to each other."""
        new = [self._number(m) for m in measurements]
        made = {tensor: int(self._slots[id(m.sites)][local]) for m in measurements for tensor, local in m.makes.items()}
        sites: list[OpSite] = []
        updated: dict[int, int] = {}  # handle -> slot of its latest update in this step
        for measurement, locals_ in zip(measurements, new, strict=True):
            slots = self._slots[id(measurement.sites)]
            for local in locals_:
                site = _renumbered(measurement.sites[local], slots)
                if measurement.source_off:
                    site = _without_source(site)
                links = [made[t] for t in measurement.takes.get(local, ()) if t in made]
                if site.role is Role.VARIABLE:  # another function may have updated it before
                    links += [updated[h] for h in (measurement.variables.get(local),) if h in updated]
                sites.append(dataclasses.replace(site, inputs=(*site.inputs, *links)) if links else site)
            for local, handle in measurement.variables.items():
                if measurement.sites[local].role is Role.UPDATE:
                    updated[handle] = int(slots[local])
        return sites

    def _number(self, measurement: Measurement) -> range:
        """Gives slots to the sites that have none yet; returns these sites."""
        known = self._slots.get(id(measurement.sites), np.empty(0, np.int64))
        new = range(len(known), len(measurement.sites))
        if not len(known):
            self._kept.append(measurement.sites)
        self._slots[id(measurement.sites)] = np.concatenate([known, self.size + np.arange(len(new))])
        self.size += len(new)
        return new

    def rows(self, measurements: Iterable[Measurement]) -> tuple[Slots, Rows]:
        """One step's rows, one per slot that ran, the slots ascending.

        Runs of one trace combine, as those of a loop body do. A run that leaves something non-finite
        stands alone: what comes after it is its consequence.
        """
        runs: dict[int, Rows] = {}
        spoilt: set[int] = set()
        for measurement in measurements:
            trace = id(measurement.sites)
            if trace in spoilt:
                continue
            if measurement.went_bad():
                spoilt.add(trace)
                runs[trace] = measurement.rows
            else:
                runs[trace] = _combined(runs[trace], measurement.rows) if trace in runs else measurement.rows
        slots = np.concatenate([self._slots[trace][: len(rows.rows)] for trace, rows in runs.items()])
        table = np.concatenate([rows.rows for rows in runs.values()])
        histogram = np.concatenate([rows.histogram for rows in runs.values()])
        order = np.argsort(slots)
        order = order[~np.isnan(table[order, INDEX["size"]])]
        return slots[order], Rows(table[order], histogram[order])


def _combined(earlier: Rows, later: Rows) -> Rows:
    count = max(len(earlier.rows), len(later.rows))  # an eager table may have grown
    first, second = earlier.resized(count), later.resized(count)
    second.rows[:, INDEX["first_bad_call"]] += np.nan_to_num(first.rows[:, INDEX["calls"]])
    return Rows(combine(first.rows, second.rows), first.histogram + second.histogram)


def _without_source(site: OpSite) -> OpSite:
    """The site with the names of its files, whichever system they are of, and no text."""
    frames = (dataclasses.replace(f, file=ntpath.basename(f.file), text="") for f in site.frames)
    return dataclasses.replace(site, frames=tuple(frames))


def _renumbered(site: OpSite, slots: Slots) -> OpSite:
    def number(local: int) -> int:
        return int(slots[local]) if local >= 0 else -1

    return dataclasses.replace(site, inputs=tuple(number(i) for i in site.inputs), gradient_of=number(site.gradient_of))
