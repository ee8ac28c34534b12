"""Where stations meet the domain: listeners, connections, and a translator per protocol version.

Inbound: a translator turns an OCPP payload into version-free reports of the features. Outbound: it
turns a command into an OCPP request. No SQL, no decisions. Another protocol plugs in beside OCPP by
producing the same reports and carrying the same commands.
"""
