"""Which of several worker processes this is."""

from __future__ import annotations

from tensorflow.python.eager import context as tf_context


def worker() -> str:
    """This process's name in its cluster, such as "worker:1"; "" when it works alone."""
    context = tf_context.context()
    server = getattr(context, "_collective_ops_server_def", None) or context.get_server_def()
    if server is None or sum(len(job.tasks) for job in server.cluster.job) < 2:
        return ""
    return f"{server.job_name}:{server.task_index}"
