"""Load generator, baselines and the tables the README quotes. Imports nothing of the server."""
