"""``HealthHook``: TensorFlow 1 graphs and sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tb_numstab.instrument.bits import Array
from tb_numstab.instrument.collector import Collector
from tb_numstab.instrument.counters import measure
from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import reason, step_aside, warn_once
from tb_numstab.instrument.measurement import MeasuredStep, Measurement
from tb_numstab.instrument.op_types import is_measured
from tb_numstab.instrument.options import OnNonfinite, Options, SourceLines
from tb_numstab.instrument.run_log import RunLog
from tb_numstab.instrument.schedule import MAX_RECORDS, make_schedule
from tb_numstab.instrument.session_graph import StepGraph
from tb_numstab.instrument.writers import FileSink
from tb_numstab.schema.columns import INDEX

MAX_REPLAYS = 100
"""Bad steps of a run that are measured again."""


@dataclass(frozen=True)
class Past:
    """A step that has run, ready to be computed again.

    Attributes:
      number: the training step.
      graph: what it ran.
      feed: what it was fed, and what it got from everything with a state.
    """

    number: int
    graph: StepGraph
    feed: Mapping[Any, Any]

    def values(self, tensors: list[Any]) -> list[Array]:
        """Those of the tensors that were fed."""
        return [np.asarray(self.feed[t.ref()]) for t in tensors]


class HealthHook(tf.compat.v1.train.SessionRunHook):  # type: ignore[misc]  # TensorFlow is untyped
    """Watches a TensorFlow 1 training and logs to ``log_dir``.

    ::

        with tf.compat.v1.train.MonitoredSession(hooks=[tb_numstab.HealthHook("logs/run1")]) as session:
            session.run(train_op)

    With a plain session, ``hook.run(session, train_op)`` stands for ``session.run(train_op)``.

    The graph stays as it is. Each training step also hands out the values of its variables, random
    numbers and data, so that it can be computed again, without effects, when it is to be measured.

    Attributes:
      health: the StepHealth after the last step, None before the first.
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
        """Makes the hook; nothing is written before the first step.

        Args:
          log_dir: folder of the run.
          every: measure every N-th run that updates a trained variable, or ``"auto"``.
          replay: measure a run between these when NaN or Inf comes out of it. Costs one copy of the
            variables per step.
          on_nonfinite: see ``tb_numstab.watch``, as for ``"auto"`` and ``max_records``.
          max_records: how many steps ``"auto"`` measures at most.
          source: see ``tb_numstab.watch``.

        Raises:
          ValueError: an option has a value that is not allowed.
        """
        self.health: StepHealth | None = None
        self._options = Options(every, replay, on_nonfinite, max_records, source)
        self._schedule = make_schedule(every, max_records)
        self._log_dir = log_dir
        self._log: RunLog | None = None
        self._graphs: dict[Any, StepGraph] = {}
        self._step: int | None = None
        self._running: StepGraph | None = None  # between before_run and after_run
        self._survey = False
        self._past: Past | None = None
        self._bad = False  # the last step's results or variables held NaN or Inf
        self._replays = 0

    def run(self, session: Any, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any:
        """``session.run`` for a session that takes no hooks; arguments and result are the same."""
        arguments = tf.compat.v1.train.SessionRunArgs(fetches, feed_dict)
        context = tf.compat.v1.train.SessionRunContext(arguments, session)
        more = self.before_run(context)
        if more is None:
            return session.run(fetches, feed_dict)
        result, values = session.run([fetches, more.fetches], feed_dict)
        self.after_run(context, tf.compat.v1.train.SessionRunValues(values, None, None))
        return result

    # ---- the hook's interface

    def before_run(self, run_context: Any) -> Any:
        """Asks for what a measurement needs of the step."""
        self._running = None
        try:
            graph = self._graph_of(run_context)
            if not graph.trains:
                return None
            if self._step is None:
                self._step = self._first_step(run_context.session)
            self._survey = self._schedule.due()
            if not (self._survey or self._options.replay):
                self._step += 1
                return None
            self._running = graph
            scalars = [t for t in self._fetches(run_context) if isinstance(t, tf.Tensor) and t.shape.rank == 0]
            results = [t for t in scalars if is_measured(t.dtype.name)]
            return tf.compat.v1.train.SessionRunArgs({"sources": graph.sources, "results": results})
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside("this run of the session is not measured", error)
            return None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Judges the step; measures and logs it where that is due.

        Raises:
          NonFiniteError: the first NaN or Inf was found and ``on_nonfinite`` is "raise".
        """
        graph, self._running = self._running, None
        if graph is None or self._step is None:
            return
        measured: list[Measurement] = []
        try:
            fed = run_context.original_args.feed_dict or {}
            feed = {t.ref(): v for t, v in zip(graph.sources, run_values.results["sources"], strict=True)}
            feed |= dict(_as_fed(self._element(run_context, t), v) for t, v in fed.items())
            past, before = Past(self._step, graph, feed), self._past
            self._past = past if self._options.replay else None
            measured = self._measure_what_matters(run_context.session, past, before, run_values.results["results"])
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside("this run of the session is not measured", error)
        self._write(measured)
        self._step += 1

    def end(self, session: Any) -> None:
        """Training is over."""
        if self._log is not None:
            self._log.flush()

    # ---- one step

    def _measure_what_matters(
        self, session: Any, past: Past, before: Past | None, results: list[Any]
    ) -> list[Measurement]:
        reads = past.values(past.graph.trained)
        came_bad = any(map(_nonfinite, reads))
        left = session.run(past.graph.unseen) if past.graph.unseen else []
        bad = came_bad or any(map(_nonfinite, map(np.asarray, [*results, *left])))
        news = bad and not self._bad and self._options.replay and self._replays < MAX_REPLAYS
        self._bad = bad
        self._replays += news
        if news and came_bad and before is not None and before.graph is past.graph:
            known = dict(zip((t.op.inputs[0].ref() for t in past.graph.trained), reads, strict=True))
            return [self._measure(session, before, "replay", known)]
        if self._survey or news:
            return [self._measure(session, past, "survey" if self._survey else "replay", {})]
        return []

    def _measure(self, session: Any, past: Past, kind: str, after: Mapping[Any, Array]) -> Measurement:
        """Computes a step again and measures it.

        Args:
          session: the training's session.
          past: the step.
          kind: as in Measurement.
          after: values of variables after the step, by handle; those missing are as they are now.
        """
        graph = past.graph
        wanted = [t for t in graph.tensors if t.ref() not in past.feed]
        computed = session.run(wanted, {t.deref(): v for t, v in past.feed.items()})
        values = dict(past.feed) | {t.ref(): v for t, v in zip(wanted, computed, strict=True)}
        now = session.run(graph.after)
        left = [after.get(t.op.inputs[0].ref(), v) for t, v in zip(graph.after, now, strict=True)]
        old = {id(t.op.inputs[0]): np.asarray(past.feed[t.ref()]) for t in graph.trained}
        collector = Collector(old_values=old)
        arrays = [np.asarray(v) for v in [*(values[t.ref()] for t in graph.tensors), *left]]
        collector.sink(tuple(graph.entries), tuple(arrays))
        if collector.problem is not None:
            raise collector.problem
        rows = collector.finish(len(graph.sites))
        measured = Measurement(graph.sites, rows, graph.handles, {}, {}, kind=kind, step=past.number)
        return measured.without_source() if self._options.source == "off" else measured

    def _write(self, measured: list[Measurement]) -> None:
        assert self._step is not None
        if self._log is None:
            self._log = RunLog(self._sink())
        for measurement in measured:
            number = self._step if measurement.step is None else measurement.step
            self._log.write(MeasuredStep(number, [measurement], self._options.on_nonfinite))
        self.health = self._log.health(self._step)

    def _sink(self) -> FileSink | None:
        try:
            return FileSink(str(self._log_dir))
        except (tf.errors.OpError, OSError) as error:
            warn_once(f"cannot write to {self._log_dir}, so nothing is logged: {reason(error)}")
            return None

    # ---- graph and fetches

    def _fetches(self, run_context: Any) -> list[Any]:
        flat = tf.nest.flatten(run_context.original_args.fetches, expand_composites=True)
        return [self._element(run_context, f) for f in flat if f is not None]

    def _element(self, run_context: Any, name: Any) -> Any:
        return run_context.session.graph.as_graph_element(name)

    def _graph_of(self, run_context: Any) -> StepGraph:
        fetches = self._fetches(run_context)
        fed = [self._element(run_context, t) for t in run_context.original_args.feed_dict or {}]
        key = (tuple(f.name for f in fetches), tuple(sorted(t.name for t in fed)))
        if key not in self._graphs:
            graph = self._graphs[key] = StepGraph(run_context.session.graph, fetches, fed)
            if graph.old_kind:
                warn_once(
                    f"HealthHook measures resource variables only, and {', '.join(sorted(graph.old_kind))} are not: "
                    "call tf.compat.v1.enable_resource_variables() before they are made. Training goes on unchanged."
                )
        return self._graphs[key]

    def _first_step(self, session: Any) -> int:
        step = tf.compat.v1.train.get_global_step(session.graph)
        return 0 if step is None else int(session.run(step))


def _as_fed(tensor: Any, value: Any) -> tuple[Any, Array]:
    """What a session makes of a fed value, in the tensor's own format; by the tensor's reference.

    A copy: the user may fill the same buffer again for the next step.
    """
    return tensor.ref(), np.array(value, tensor.dtype.as_numpy_dtype)


def _nonfinite(array: Array) -> bool:
    with contextlib.suppress(KeyError):  # a dtype that holds no NaN
        row, _ = measure(array)
        return bool(row[INDEX["nan"]] + row[INDEX["pos_inf"]] + row[INDEX["neg_inf"]] > 0)
    return False
