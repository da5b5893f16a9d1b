"""Two real worker processes on one machine: neither may wait for the other in vain, and each logs its own view."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tb_numstab
from tb_numstab.report.notebook import Run
from tb_numstab.store.event_files import read_runs
from tests.instrument.kinds import BAD

LOOP = """
import sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import tb_numstab
from tests.instrument.kinds import BAD, STEPS, batch

task = int(sys.argv[1])

def train(watched):
    with strategy.scope():
        w = tf.Variable(tf.ones([4]))

    def replica(x):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))
        w.assign_sub(0.01 * tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, w)))
        return loss

    @tf.function
    def step(x):
        return strategy.run(replica, args=(x,))  # each worker sees its own loss

    if watched:
        step = tb_numstab.watch(step)
    for i in range(STEPS):
        bad = i == BAD and task == 1
        step(tf.constant(batch(BAD) if bad else batch(BAD + 1 + task)))
        if watched:
            tb_numstab.log_step(i)
    print(w.numpy().tobytes().hex())

train(watched=False)
with tf.summary.create_file_writer(f"logs/worker{task}").as_default():
    train(watched=True)
"""

FIT = """
import sys
import numpy as np
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import tb_numstab
from tests.instrument.kinds.keras2_fits import X, Y, log_loss, model_of

def train(callbacks):
    with strategy.scope():
        model = model_of(log_loss)
    data = tf.data.Dataset.from_tensor_slices((X[:121], Y[:121])).batch(8)
    model.fit(data, verbose=0, callbacks=callbacks)
    print(b"".join(np.asarray(v).tobytes() for v in model.variables).hex())

train([])
train([tb_numstab.NumericalHealth(f"logs/worker{sys.argv[1]}")])
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run_workers(script: str, folder: Path) -> list[list[str]]:
    """The last two lines that each of two workers prints, who run a script."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", script, str(index)]
        processes.append(
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [p.returncode for p in processes] == [0, 0], outputs
    return [out.splitlines()[-2:] for out, _ in outputs]


def train(script: str, folder: Path) -> list[Run]:
    """Trains unwatched and watched, to the same bits; the workers' runs, the first worker's first."""
    for plain, watched in run_workers(script, folder):
        assert plain == watched
    runs = {run.name: run for run in read_runs(str(folder / "logs"))}
    assert {name: run.measured[-1].worker for name, run in runs.items()} == {
        "worker0": "worker:0",
        "worker1": "worker:1",
    }
    return [tb_numstab.load_run(str(folder / "logs" / name)) for name in sorted(runs)]


def test_two_workers(tmp_path: Path) -> None:
    first, second = (run.findings[0] for run in train(LOOP, tmp_path))
    # The worker whose data was bad names the op; the other one got the NaN from outside, in the same step.
    assert (first.first_step, second.first_step) == (BAD, BAD)
    assert second.site.op_type == "Log"
    assert first.site.op_type.startswith("Collective")


def test_two_workers_that_fit(tmp_path: Path) -> None:
    """Each takes its share of every batch from a distributed iterator. Keras 3 does not train under this strategy."""
    pytest.importorskip("tf_keras")
    findings = [run.findings[0] for run in train(FIT, tmp_path)]
    assert [f.first_step for f in findings] == [BAD, BAD]
    assert "Log" in {f.site.op_type for f in findings}
