"""tb-numstab: where a TensorFlow training becomes numerically unstable, and why.

Importing this package loads neither TensorFlow nor TensorBoard; each public name loads what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tb_numstab.instrument.construction import record_construction_lines

if TYPE_CHECKING:
    from tb_numstab.instrument.console import NonFiniteError
    from tb_numstab.instrument.health import StepHealth
    from tb_numstab.instrument.keras import NumericalHealth
    from tb_numstab.instrument.logger import log_step
    from tb_numstab.instrument.session import HealthHook
    from tb_numstab.instrument.watch import watch
    from tb_numstab.report.notebook import load_run

__version__ = "0.1.0"

_WHERE = {
    "HealthHook": "tb_numstab.instrument.session",
    "NonFiniteError": "tb_numstab.instrument.console",
    "NumericalHealth": "tb_numstab.instrument.keras",
    "StepHealth": "tb_numstab.instrument.health",
    "load_run": "tb_numstab.report.notebook",
    "log_step": "tb_numstab.instrument.logger",
    "watch": "tb_numstab.instrument.watch",
}

__all__ = ["HealthHook", "NonFiniteError", "NumericalHealth", "StepHealth", "load_run", "log_step", "watch"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tb_numstab' has no attribute {name!r}")
    module = _WHERE[name]
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError) as error:
        missing = getattr(error, "name", None) or ""
        if missing in ("tensorflow", "keras"):
            raise ModuleNotFoundError(
                f"tb_numstab.{name} needs TensorFlow 2.21 or newer with Keras 3: pip install tensorflow "
                "(or tensorflow-cpu). The tab and the command line work without it.",
                name=missing,
            ) from error
        if not module.startswith("tb_numstab.instrument."):
            raise
        return importlib.import_module("tb_numstab.instrument.stand_ins").stand_in(name, error)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])


record_construction_lines()
