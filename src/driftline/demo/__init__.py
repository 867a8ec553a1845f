"""The demo: a year of real flights served by two models, their telemetry sent through OTLP and drawn as it arrives."""
