"""Samples in, series out: normalised readings in one wide table, partitioned by time."""
