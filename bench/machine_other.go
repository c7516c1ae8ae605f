//go:build !linux

package bench

import "os"

// look takes what Windows tells every program; elsewhere it stays unknown.
func (m *Machine) look() {
	if cpu := os.Getenv("PROCESSOR_IDENTIFIER"); cpu != "" {
		m.CPU = cpu
	}
}
