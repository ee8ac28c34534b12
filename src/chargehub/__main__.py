"""`python -m chargehub` is the command line."""

from __future__ import annotations

from chargehub.cli import main

main()
