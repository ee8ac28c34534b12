"""Locations, charging stations, EVSEs, connectors: what stands at the hub and in which state.

Also the commands that go out to stations. Which protocol a station speaks is the gateway's matter.
"""
