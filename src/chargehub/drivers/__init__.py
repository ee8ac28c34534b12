"""Drivers: for now their idTokens and groups; accounts, vehicles and credentials come here."""
