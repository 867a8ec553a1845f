"""The live view of services: read from exported telemetry, drawn in a terminal and as a page."""
