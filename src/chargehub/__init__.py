"""ChargeHub: the management backend of an EV charging hub."""
