"""Bays (车位): the ground lock (地锁) and sensor of a gun's parking space; who may lower it."""
