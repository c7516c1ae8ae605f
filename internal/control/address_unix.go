//go:build !windows

package control

import (
	"context"
	"net"
	"os"
	"path/filepath"
)

// DefaultPath is where a daemon puts its socket unless it is told otherwise, and where the commands look for it.
func DefaultPath() string {
	dir := "/run/weir"
	if own := os.Getenv("XDG_RUNTIME_DIR"); os.Geteuid() != 0 && own != "" {
		dir = filepath.Join(own, "weir")
	}
	return filepath.Join(dir, "control.sock")
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
