"""Two real worker processes on one machine: neither may wait for the other in vain, and each logs its own view."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import tb_numstab
from tb_numstab.store.event_files import read_runs
from tests.instrument.kinds import BAD

SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import tb_numstab
from tests.instrument.kinds import BAD, STEPS, batch

task, watched = int(sys.argv[1]), sys.argv[2] == "watched"
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
with tf.summary.create_file_writer(f"logs/worker{task}").as_default():
    for i in range(STEPS):
        bad = i == BAD and task == 1
        step(tf.constant(batch(BAD) if bad else batch(BAD + 1 + task)))
        if watched:
            tb_numstab.log_step(i)
print(w.numpy().tobytes().hex())
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run_workers(folder: Path, mode: str) -> list[str]:
    """What the two workers print last."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", SCRIPT, str(index), mode]
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
    return [out.splitlines()[-1] for out, _ in outputs]


def test_two_workers(tmp_path: Path) -> None:
    plain, watched = run_workers(tmp_path, "plain"), run_workers(tmp_path, "watched")

    assert plain == watched
    runs = {run.name: run for run in read_runs(str(tmp_path / "logs"))}
    assert {name: run.measured[-1].worker for name, run in runs.items()} == {
        "worker0": "worker:0",
        "worker1": "worker:1",
    }
    # The worker whose data was bad names the op; the other one got the NaN from outside, in the same step.
    by_worker = [tb_numstab.load_run(str(tmp_path / "logs" / name)).findings[0] for name in sorted(runs)]
    assert [finding.first_step for finding in by_worker] == [BAD, BAD]
    assert by_worker[1].site.op_type == "Log"
    assert by_worker[0].site.op_type.startswith("Collective")
