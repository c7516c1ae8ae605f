package daemon

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// backend is an open driver, and what the daemon asks of it beside handles.
type backend interface {
	divertdrv.Driver
	// progress may be called from any goroutine.
	progress() Progress
	// interrupt ends a wait for input that has no end, from any goroutine; forgive drops the error that comes of it.
	interrupt()
	forgive(err error) error
	// capture says what the driver saw of a capture file; nil: it reads none.
	capture() *pcapdrv.Stats
	// close ends the driver and writes what was gathered. Handles are closed before.
	close() error
}

// Progress says how far a run is.
type Progress struct {
	Done, Total int64 // Total 0: not known
	Bytes       bool  // they are bytes of the capture file; else packets
}

// openBackend opens the driver; fail is called when its output breaks, from any goroutine.
func openBackend(d *Driver, fail func(error)) (backend, error) {
	if err := CheckBackend(d.Backend); err != nil {
		return nil, err
	}
	if d.In != "" && d.Backend != Pcap {
		return nil, fmt.Errorf("driver %s does not read a capture; driver pcap does", d.Backend)
	}
	switch d.Backend {
	case Pcap:
		return openCapture(d)
	case Sim:
		return openSimulated(d, fail)
	}
	return openLive(d, fail)
}
