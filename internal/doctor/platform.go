package doctor

import "runtime"

// platform is what the report is about: the system, its kernel where that can be told, and the machine.
func platform() string {
	s := runtime.GOOS + "/" + runtime.GOARCH
	if k := kernel(); k != "" {
		s += ", kernel " + k
	}
	return s
}
