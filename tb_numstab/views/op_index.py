"""Names and groups of the slots of one op table."""

from __future__ import annotations

from collections.abc import Sequence

from tb_numstab.analysis.narrate import variable_name
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.views.json_values import Json

UNGROUPED = "other"


class OpIndex:
    """Looks up slots of an op table by the key that links carry.

    A key is ``name:output``, led by the enclosing loop or branch where there is one. Tables only
    grow, and of slots that share a key the first keeps it while later ones get ``#2``, ``#3`` and so
    on, so a key means the same slot for as long as the run exists.

    Attributes:
      table: the op table.
      keys: key of each slot.
      groups: group of each slot: its layer, or what comes closest to one.
    """

    def __init__(self, table: Sequence[OpSite]):
        self.table = table
        self.keys: list[str] = []
        self.groups: list[str] = []
        self._slots: dict[str, int] = {}
        for slot, site in enumerate(table):
            self._add_key(slot, site)
            self.groups.append(self._group(site))

    def slot(self, key: str) -> int | None:
        """The slot of a key, or None when this table has no such op."""
        return self._slots.get(key)

    def ref(self, slot: int) -> Json:
        """What a page shows of an op it merely mentions."""
        site = self.table[slot]
        return {
            "key": self.keys[slot],
            "op_type": site.op_type,
            "name": site.name,
            "dtype": site.dtype,
            "role": site.role.value,
            "layer": site.layer,
            "group": self.groups[slot],
            "variable": variable_name(site) if site.variable else "",
            "source": None if site.source is None else frame_view(site.source),
        }

    def _add_key(self, slot: int, site: OpSite) -> None:
        base = f"{site.graph}/{site.name}:{site.output}" if site.graph else f"{site.name}:{site.output}"
        key, copy = base, 1
        while key in self._slots:
            copy += 1
            key = f"{base}#{copy}"
        self._slots[key] = slot
        self.keys.append(key)

    def _group(self, site: OpSite) -> str:
        if site.layer:
            return site.layer
        if 0 <= site.gradient_of < len(self.groups):
            return self.groups[site.gradient_of]
        if site.role is Role.INPUT:
            return "inputs"
        if site.role in (Role.VARIABLE, Role.UPDATE):
            # Keras names a variable after its layer: "sequential/dense/kernel".
            return site.variable.rpartition("/")[0] or "variables"
        return f"{site.source.function}()" if site.source is not None else UNGROUPED


def frame_view(frame: Frame) -> Json:
    """One source line as JSON."""
    return {"file": frame.file, "line": frame.line, "function": frame.function, "text": frame.text}
