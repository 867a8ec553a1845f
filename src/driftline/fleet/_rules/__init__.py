"""Recording and alerting rules for Prometheus and its relatives."""
