"""Adapters of serving frameworks, one module for each library: nothing is lost at a graceful stop."""
