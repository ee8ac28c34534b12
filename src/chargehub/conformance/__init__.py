"""The test adapter: lets outside conformance suites drive a demo server of this machine."""
