"""The world outside the hub's backend: stations, cars and drivers that speak real OCPP.

It imports nothing of the server: it is what a test may believe when the server is wrong.
"""
