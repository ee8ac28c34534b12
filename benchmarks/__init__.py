"""Load generator, baselines and the tables the README quotes.

The generator and the baselines import nothing of the server; the runner starts its database.
"""
