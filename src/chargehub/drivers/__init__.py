"""Drivers: accounts, logins, idTokens and their groups."""
