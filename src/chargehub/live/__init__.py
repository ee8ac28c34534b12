"""The live view: an in-memory board of the hub, its event stream, and the page that draws it.

It only shows: whoever must act on an event reads the outbox, and the database stays the truth.
"""
