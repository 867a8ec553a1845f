"""Backends that hold the counts which many processes export."""
