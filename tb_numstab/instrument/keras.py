"""``NumericalHealth``: the Keras callback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import reason, warn_once
from tb_numstab.instrument.logger import log_step_to
from tb_numstab.instrument.options import OnNonfinite, Options, SourceLines
from tb_numstab.instrument.schedule import MAX_RECORDS
from tb_numstab.instrument.scope import StepScope
from tb_numstab.instrument.watch import Watcher, hand_over


class NumericalHealth(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Watches ``model.fit`` and logs to ``log_dir``.

    ::

        model.fit(x, y, callbacks=[tb_numstab.NumericalHealth("logs/run1", every=50)])

    ``train_on_batch`` calls no callbacks; use ``attach`` there.

    Attributes:
      health: the StepHealth after the last batch, None before the first.
    """

    def __init__(
        self,
        log_dir: str,
        every: int | str = "auto",
        replay: bool = True,
        on_nonfinite: OnNonfinite = "warn",
        max_records: int = MAX_RECORDS,
        source: SourceLines = "on",
    ) -> None:
        """Makes the callback; nothing is written before training begins.

        Args:
          log_dir: folder of the run; it may be shared with ``keras.callbacks.TensorBoard``.
          every: measure every N-th batch (every N-th call with ``steps_per_execution``), or ``"auto"``.
          replay: see ``tb_numstab.watch``, as for ``"auto"`` and ``max_records``.
          on_nonfinite: likewise; "raise" ends ``fit`` with a NonFiniteError.
          max_records: how many batches ``"auto"`` measures at most.
          source: see ``tb_numstab.watch``.

        Raises:
          ValueError: an option has a value that is not allowed.
        """
        super().__init__()
        self.health: StepHealth | None = None
        self._log_dir = str(log_dir)
        self._watcher = Watcher(Options(every, replay, on_nonfinite, max_records, source))
        self._writer: Any = None
        self._scope: StepScope | None = None
        self._next_step = self._batch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._close_scope()  # an earlier fit may have ended in an exception
        optimizer = self.model.optimizer
        self._next_step = 0 if optimizer is None else int(tf.convert_to_tensor(optimizer.iterations))
        if self._writer is None:
            self._open_writer()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._close_scope()
        self._batch = batch
        self._scope = self._watcher.step()
        self._scope.__enter__()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        scope = self._scope
        if scope is not None:
            scope.returned(logs or {})
            self._close_scope()
            hand_over(scope)
        self._next_step += 1 + batch - self._batch
        if scope is not None:
            self._look_for_folder()
            self.health = log_step_to(self._writer, self._next_step - 1)

    def on_train_end(self, logs: Any = None) -> None:
        self._close_scope()
        hand_over(self._watcher.finish())
        self.health = log_step_to(self._writer, self._next_step - 1)
        if self._writer is not None:
            self._writer.flush()

    @contextmanager
    def attach(self, model: Any) -> Iterator[NumericalHealth]:
        """Watches ``model.train_on_batch`` inside the block; one call is one step."""
        original = model.train_on_batch

        def train_on_batch(*args: Any, **kwargs: Any) -> Any:
            self.on_train_batch_begin(0)
            result = original(*args, **kwargs)
            self.on_train_batch_end(0, result)
            return result

        self.set_model(model)
        self.on_train_begin()
        model.train_on_batch = train_on_batch
        try:
            yield self
        finally:
            del model.train_on_batch
            self.on_train_end()

    # ---- what tf-keras (Keras 2) asks a callback besides

    _supports_tf_logs = True

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def _open_writer(self) -> None:
        try:
            self._writer = tf.summary.create_file_writer(self._log_dir)
        except (tf.errors.OpError, OSError) as error:
            self._writer = None
            warn_once(f"cannot write to {self._log_dir}, so nothing is logged: {reason(error)}")

    def _look_for_folder(self) -> None:
        """Begins a new log where the folder was removed: TensorFlow would go on writing into the removed file."""
        written = self._writer is not None and self.health is not None and self.health.measured
        if written and "://" not in self._log_dir and not os.path.isdir(self._log_dir):
            warn_once(f"the folder {self._log_dir} was removed; logging begins anew in a new one")
            self._open_writer()

    def _close_scope(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.__exit__(None, None, None)
