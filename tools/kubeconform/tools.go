//go:build tools

// Package tools pins what tools/build builds.
package tools

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
)
