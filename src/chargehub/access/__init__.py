"""Operators, their roles, server-side login sessions, and the audit trail."""
