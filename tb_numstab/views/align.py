"""Which op of one run is which op of another."""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from tb_numstab.views.op_index import OpIndex

MAX_MATCHED = 3000
"""Longest group that is matched as a sequence, which takes quadratic time; longer ones go by key."""

Pairs = NDArray[np.intp]
"""[n, 2]: a slot of the first run and its twin in the second."""


def align(a: OpIndex, b: OpIndex) -> Pairs:
    """Pairs of slots that are the same op in both tables, ascending by the first.

    Graph names will not do: one more Mul in front, and every later ``Mul_17`` is another op. So the ops
    of each group are matched as a sequence of types and roles, the way diff matches lines.
    """
    if a.keys == b.keys:
        return np.arange(len(a.keys), dtype=np.intp).repeat(2).reshape(-1, 2)
    ours, theirs = _by_group(a), _by_group(b)
    pairs: list[tuple[int, int]] = []
    for group, slots in ours.items():
        twins = theirs.get(group, [])
        if max(len(slots), len(twins)) > MAX_MATCHED:
            pairs += [(s, t) for s in slots if (t := b.slot(a.keys[s])) is not None]
            continue
        matcher = SequenceMatcher(None, [_token(a, s) for s in slots], [_token(b, t) for t in twins], autojunk=False)
        for block in matcher.get_matching_blocks():
            pairs += [(slots[block.a + i], twins[block.b + i]) for i in range(block.size)]
    return np.array(sorted(pairs), np.intp).reshape(-1, 2)


def _by_group(ops: OpIndex) -> dict[str, list[int]]:
    out: dict[str, list[int]] = defaultdict(list)
    for slot, group in enumerate(ops.groups):
        out[group].append(slot)
    return out


def _token(ops: OpIndex, slot: int) -> tuple[str, str, str, int]:
    site = ops.table[slot]
    return site.op_type, site.role.value, site.variable, site.output
