"""Configurations of the OpenTelemetry Collector: agents, gateways that sum, and one for each backend."""
