"""Event files for tests, made without TensorFlow.

synthetic: Recorder writes any op sites and records as a run; scaled_run makes large ones.
numpy_trace: measures numpy arrays the way the hook measures tensors.
readers: the ways to read a log folder back.
runs: four realistic trainings, ready to write.
"""
