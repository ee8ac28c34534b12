"""A driver's own charge: what they scan, start, limit, watch and stop; cars known by themselves."""
