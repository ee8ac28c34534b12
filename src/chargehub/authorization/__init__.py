"""Who may charge here now: one decision for every protocol."""
