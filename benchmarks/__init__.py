"""Measurements of tb-numstab: what it finds, what it costs."""
