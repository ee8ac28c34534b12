"""What every feature stands on: clock, errors, database, group commit, jobs, logging, http.

Knows nothing of charging. Re-exports nothing, so that pure modules import only the leaves they
need.
"""
