"""A receiver of OTLP over HTTP and gRPC, which is a door of the process to the network."""
