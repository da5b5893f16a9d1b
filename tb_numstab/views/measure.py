"""One row of counters as JSON."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import OneRow
from tb_numstab.schema.columns import COLUMNS, INDEX, Row
from tb_numstab.schema.formats import FORMATS, FloatFormat
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord
from tb_numstab.views.json_values import Json, plain, whole


def measure_view(record: StepRecord, slot: int, site: OpSite) -> Json | None:
    """The counters of one slot by column name, null where absent; None when it was not measured.

    Adds ``rms`` (root mean square of the finite elements) and ``histogram``: the shares of the
    exponent bins in units of 1/255 with the exponent of the first one and the bins' width, trimmed to
    the bins in use; null where nothing finite and non-zero was seen.
    """
    if (at := record.row_of(slot)) is not None:
        return _view(record.rows[at], record.histogram[at], site)
    if site.constant:
        return _view(np.array(site.constant), np.zeros(0, np.uint8), site)
    return None


def _view(row: Row, shares: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], site: OpSite) -> Json:
    out: dict[str, Json] = {}
    for column in COLUMNS:
        value = float(row[INDEX[column.name]])
        out[column.name] = whole(value) if column.unit != "value" else None if np.isnan(value) else plain(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        rms = OneRow(row).rms
    out["rms"] = None if np.isnan(rms) else plain(rms)
    used = np.flatnonzero(shares)
    fmt = FORMATS.get(site.dtype)
    out["histogram"] = None
    if used.size and fmt is not None:
        first, last = int(used[0]), int(used[-1])
        out["histogram"] = {
            "first_exp": fmt.min_subnormal_exp + first * fmt.bin_width,
            "bin_width": fmt.bin_width,
            "shares": shares[first : last + 1].tolist(),
        }
    return out


def format_view(fmt: FloatFormat) -> Json:
    """The limits of a format."""
    return {
        "name": fmt.name,
        "precision": fmt.precision,
        "max_exp": fmt.max_exp,
        "min_exp": fmt.min_exp,
        "min_subnormal_exp": fmt.min_subnormal_exp,
        "max_value": plain(fmt.max_value),
        "has_inf": fmt.has_inf,
    }


FORMAT_VIEWS = {name: format_view(fmt) for name, fmt in FORMATS.items()}
"""Every known format by name, as JSON."""
