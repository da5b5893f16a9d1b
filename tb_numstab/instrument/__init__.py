"""Measuring a training step. The only part of tb-numstab that imports TensorFlow."""
