"""``log_step``: from a training loop to the log."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import summary_ops_v2

from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import warn_once
from tb_numstab.instrument.run_log import RunLog
from tb_numstab.instrument.watch import measured_steps, take_finished
from tb_numstab.instrument.writers import SummarySink


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
                log = _logs[writer] = RunLog(SummarySink(writer))
    log.take_in(step, owners)
    return log
