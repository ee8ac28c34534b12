"""Charging profiles: what we set, what stations hold and obey, and what they come to together."""
