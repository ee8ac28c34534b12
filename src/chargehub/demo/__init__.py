"""The demonstration: a hub's data, and the processes that bring it to life and watch it."""
