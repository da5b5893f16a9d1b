"""``log_step``: from a training loop to the log."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.summary_ops_v2 import _summary_state

from tb_numstab.instrument.cluster import worker
from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import step_aside, warn_once
from tb_numstab.instrument.run_log import RunLog
from tb_numstab.instrument.scope import current_scope
from tb_numstab.instrument.watch import measured_steps, take_finished
from tb_numstab.instrument.writers import SummarySink, before_closing


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
    writer = _summary_state.writer
    if writer is None:
        warn_once(
            "log_step found no default summary writer, so nothing is logged: "
            "use `with tf.summary.create_file_writer(logdir).as_default():`"
        )
    return log_step_to(writer, int(step))


def log_step_to(writer: Any, step: int) -> StepHealth:
    """log_step for callbacks: to a given writer, which may be None."""
    finished = take_finished()
    log = _log_of(writer, step, [scope.watcher for scope in finished])
    for measured in measured_steps(finished, step):
        log.write(measured)
    return log.health(step)


_lock = threading.Lock()
_logs: weakref.WeakKeyDictionary[Any, RunLog] = weakref.WeakKeyDictionary()
_unwritten = threading.local()
_current: dict[int, tuple[Any, RunLog]] = {}
"""Writer and session that each thread logged to last; kept, because what is found late is still to be written."""


def _log_of(writer: Any, step: int, watchers: Sequence[Any]) -> RunLog:
    """The session of a writer; without one, a session of this thread that only analyses.

    Other callables than before that begin at an earlier step are another training: a cell run again, say.
    """
    if writer is None:
        log: RunLog | None = getattr(_unwritten, "log", None)
        if log is None or log.is_over(step - 1, watchers):
            log = _unwritten.log = RunLog(None)
    else:
        with _lock:
            log = _logs.get(writer)
            if log is None or log.is_over(step, watchers):
                log = _logs[writer] = RunLog(SummarySink(writer))
                before_closing(writer, functools.partial(_settle, log))
    _take_over(writer, log, watchers)
    log.take_in(step, watchers)
    return log


def _take_over(writer: Any, log: RunLog, watchers: Sequence[Any]) -> None:
    """Makes a session this thread's current one. If it has just begun, the one before is over."""
    before = _current.get(threading.get_ident())
    _current[threading.get_ident()] = writer, log
    if before is not None and before[1] is not log and log.step < 0:
        _settle(before[1], watchers)


def _settle(log: RunLog, still_at_work: Sequence[Any] = ()) -> None:
    """Judges what the last steps of a session left open: where a step returns no loss, only the variables tell."""
    if worker() or not tf.executing_eagerly() or current_scope() is not None:
        return  # several workers judge together or not at all
    try:
        over = [watcher.finish() for watcher in log.watchers if watcher not in still_at_work]
        for measured in measured_steps(over, log.step + 1):  # a step that was not logged has no number yet
            # The training does not expect an exception any more.
            quiet = measured.on_nonfinite == "raise"
            log.write(dataclasses.replace(measured, on_nonfinite="warn") if quiet else measured)
        log.flush()
    except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
        step_aside("the last steps are not judged", error)


if sys.platform != "win32":
    # The child of a fork has none of TensorFlow's threads: what it ran as it ends would wait for them for ever.
    os.register_at_fork(after_in_child=_current.clear)


@atexit.register
def _settle_all() -> None:
    while _current:
        _, (_, log) = _current.popitem()
        _settle(log)
