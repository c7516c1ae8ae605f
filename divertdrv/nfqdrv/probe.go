package nfqdrv

// Feature is something that the driver uses and a system may lack, as found by trying.
type Feature struct {
	Name   string
	Need   bool   // without it no handle opens
	Err    error  // nil: it is there
	Cost   string // of its lack
	Remedy string // of its lack
}

// Probe tries each feature, in a network namespace of its own, so that nothing of the host is touched; where CAP_SYS_ADMIN for that
// lacks, in the caller's, where a device then appears for a moment. It may be called beside open handles.
func Probe() []Feature { return probe() }
