#!/bin/sh
# Writes the rules and the dashboards of a fleet into a folder.
set -eu
mkdir -p "$1/dashboards"
driftline rules --scope fleet --reference orders=orders.reference.json --output "$1/rules.yaml"
driftline dashboards "$1/dashboards"
