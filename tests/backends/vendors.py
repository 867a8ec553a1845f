"""All vendors with rules, by name."""

from __future__ import annotations

import vendors_otlp
import vendors_promql

VENDORS = {vendor.name: vendor for vendor in (*vendors_promql.VENDORS, *vendors_otlp.VENDORS)}
"""In the order of docs/backends.md."""

SINKS = {name: vendor for name, vendor in VENDORS.items() if vendor.rules}
"""Those that a sink stands for; VictoriaMetrics is started instead."""
