//go:build tools

// Package tools pins what tools/build builds: Prometheus's own go.mod has replace lines, which `go install pkg@version`
// refuses.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
