"""The frame log: every OCPP frame in and out, kept for some days, searchable, without secrets."""
