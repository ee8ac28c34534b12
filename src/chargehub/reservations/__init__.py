"""Reservations: who holds which gun when, under which dated rules; never two at once on one."""
