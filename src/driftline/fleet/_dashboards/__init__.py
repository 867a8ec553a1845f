"""Dashboards of models, for Grafana."""
