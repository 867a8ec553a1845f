"""The demo: two models serve a year of real flights, and a receiver draws the OTLP telemetry as it arrives."""
