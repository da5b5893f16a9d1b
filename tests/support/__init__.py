"""Tools that tests of several rooms share, the fuzzer and the benchmarks with them. No TensorFlow.

synthetic: Recorder writes any op sites and records as a run; scaled_run makes large ones.
numpy_trace: measures numpy arrays the way the hook measures tensors.
runs: four realistic trainings, ready to write.
hostile: logs made to do harm.
readers: the ways to read a log folder back.
client: asks the plugin's routes without a server.
tensorboard_process, serve: a real TensorBoard on a free port.
processes: the command line in a process of its own.
chromium: the browser.
"""
