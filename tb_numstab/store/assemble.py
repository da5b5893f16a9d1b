"""Stored bytes -> Session: what the two readers share.

Nothing here trusts the bytes. What cannot be read becomes a sentence, and what can be read is made
safe to use: every record decodes, and every slot it names has an entry in the op table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tb_numstab.schema.columns import COLUMNS, WIDTH
from tb_numstab.schema.names import parse_tag
from tb_numstab.schema.op_table import OpTableChunk, decode_ops
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import RecordHeader, decode_header
from tb_numstab.schema.table import RecordError
from tb_numstab.store.run_data import RunData, Session

MAX_GAP = 1 << 16
"""Slots a session may use without describing them: some lost op table chunks, not a damaged number."""

UNDESCRIBED = OpSite(op_type="?", name="(not in the log)")
"""Stands in the op table for a slot whose entry could not be read."""


@dataclass(frozen=True)
class Stored:
    """One event under a tb-numstab tag: when it was written (seconds) and what."""

    wall_time: float
    data: bytes


class RunBuilder:
    """Builds one run, again and again as it grows.

    A record's header that was read once is not read again, and a session without new data stays the
    same object: re-reading a live run costs about what is new in it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sessions: dict[str, _SessionBuilder] = {}

    def build(self, series: Mapping[str, Sequence[Stored]], problems: Iterable[str] = ()) -> RunData:
        """The run that these tags hold.

        Args:
          series: events by tag, in the order they were written; foreign tags are ignored.
          problems: what the reader could not read.
        """
        parts: dict[str, dict[int | None, list[Stored]]] = {}
        for tag, events in series.items():
            parsed = parse_tag(tag)
            if parsed is not None:
                parts.setdefault(parsed.session, {}).setdefault(parsed.chunk, []).extend(events)
        run = RunData(self._name, problems=list(problems))
        # A folder that was emptied and trained into again keeps nothing of its former sessions.
        self._sessions = {session: self._sessions.get(session) or _SessionBuilder(session) for session in sorted(parts)}
        for session, builder in self._sessions.items():
            builder.update(parts[session])
            run.sessions.append(builder.session)
            run.problems += builder.problems
        return run


class _SessionBuilder:
    def __init__(self, session: str) -> None:
        self.session = Session(session)
        self.problems: list[str] = []
        self._seen: object = None
        self._headers: dict[bytes, RecordHeader] = {}
        self._chunks: dict[bytes, OpTableChunk] = {}

    def update(self, parts: Mapping[int | None, Sequence[Stored]]) -> None:
        """Takes the session's events: chunk number -> events of the op table, None -> step records."""
        seen = {chunk: [e.data for e in events] for chunk, events in parts.items()}
        if seen == self._seen:
            return
        self._seen = seen
        self.problems = []
        table, worker = self._table(parts)
        records = self._readable_records(parts.get(None, ()), len(table) + MAX_GAP)
        headers = [header for header, _ in records]
        worker = next((h.worker for h in headers), worker)
        needed = max((h.last_slot + 1 for h in headers), default=0)
        self._note_undescribed(table, needed)
        table += [UNDESCRIBED] * (needed - len(table))
        # A step logged twice counts as it was logged last.
        latest = {header.step: event.data for header, event in records}
        steps = sorted(latest)
        self._note_missing(headers)
        self.session = Session(
            self.session.id,
            worker,
            tuple(_usable(site, len(table)) for site in table),
            steps,
            [latest[s] for s in steps],
        )

    def _table(self, parts: Mapping[int | None, Sequence[Stored]]) -> tuple[list[OpSite], str]:
        """The op table, UNDESCRIBED where an entry is missing, and the worker's name."""
        chunks: list[OpTableChunk] = []
        for number in sorted(n for n in parts if n is not None):
            try:
                # A chunk is written once; a second event can only repeat it.
                chunks += [self._chunk(event.data) for event in parts[number][:1]]
            except RecordError as error:
                self.problems.append(f"Part {number} of the op table of session {self.session.id}: {error}.")
        table: list[OpSite] = []
        for chunk in sorted(chunks, key=lambda c: c.first_slot):
            if chunk.first_slot > len(table) + MAX_GAP:
                self.problems.append(
                    f"A part of the op table of session {self.session.id} starts at slot {chunk.first_slot}, "
                    f"far beyond the {len(table)} slots before it: ignored."
                )
                continue
            table += [UNDESCRIBED] * (chunk.first_slot - len(table))
            table += chunk.sites[len(table) - chunk.first_slot :]
        return table, chunks[0].worker if chunks else ""

    def _chunk(self, data: bytes) -> OpTableChunk:
        """The chunk of these bytes, the same object every time: who compares op tables is done at once."""
        if data not in self._chunks:
            self._chunks[data] = decode_ops(data)
        return self._chunks[data]

    def _readable_records(self, events: Sequence[Stored], slot_limit: int) -> list[tuple[RecordHeader, Stored]]:
        """The records that decode, by wall time; one problem for each way the others fail."""
        known, self._headers = self._headers, {}
        failures: Counter[str] = Counter()
        records: list[tuple[RecordHeader, Stored]] = []
        for event in sorted(events, key=lambda e: e.wall_time if math.isfinite(e.wall_time) else -math.inf):
            try:
                header = known.get(event.data) or decode_header(event.data)
                if header.last_slot >= slot_limit:
                    raise RecordError(f"slot {header.last_slot} is far beyond the op table")
            except RecordError as error:
                failures[str(error)] += 1
            else:
                self._headers[event.data] = header
                records.append((header, event))
        for reason, count in failures.items():
            some = "A step record" if count == 1 else f"{count} step records"
            self.problems.append(f"{some} of session {self.session.id} could not be read: {reason}.")
        return records

    def _note_undescribed(self, table: Sequence[OpSite], needed: int) -> None:
        count = sum(site is UNDESCRIBED for site in table) + max(needed - len(table), 0)
        if count:
            self.problems.append(
                f"The op table of session {self.session.id} lacks {count} of {max(needed, len(table))} slots: "
                'their ops are shown as "?".'
            )

    def _note_missing(self, headers: Sequence[RecordHeader]) -> None:
        written = max((h.records_before + 1 for h in headers), default=0)
        if len(headers) < written:
            self.problems.append(
                f"Session {self.session.id} wrote {written} step records, of which {len(headers)} are here: the others "
                "were sampled away (TensorBoard's --samples_per_plugin numstab=0 keeps all), overwritten or lost."
            )


def _usable(site: OpSite, count: int) -> OpSite:
    """The site without links that lead out of the table, and without a constant's row that none can have."""
    links = (*site.inputs, site.gradient_of)
    if all(-1 <= i < count for i in links) and (not site.constant or _is_row(site.constant)):
        return site
    return replace(
        site,
        inputs=tuple(i if -1 <= i < count else -1 for i in site.inputs),
        gradient_of=site.gradient_of if -1 <= site.gradient_of < count else -1,
        constant=site.constant if _is_row(site.constant) else (),
    )


def _is_row(values: Sequence[float]) -> bool:
    """Whether these can be a row of COLUMNS; unlike a record's, a constant's counters are not stored as integers."""
    return len(values) == WIDTH and not any(
        math.isinf(value) for value, column in zip(values, COLUMNS, strict=True) if column.unit != "value"
    )
