package daemon

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// live is the backend of the platform's own driver: packets of this host, until somebody ends it.
type live struct{ divertdrv.Driver }

func openLive(d *Driver) (*live, error) {
	if d.In != "" || d.Out != "" {
		return nil, fmt.Errorf("driver %s takes packets from this host and gives them back; captures are for drivers %s and %s", platform, Pcap, Sim)
	}
	return &live{platformDriver()}, nil
}

func (l *live) progress() Progress      { return Progress{} }
func (l *live) interrupt()              {} // Shutdown wakes a Recv
func (l *live) forgive(err error) error { return err }
func (l *live) capture() *pcapdrv.Stats { return nil }
func (l *live) close() error            { return nil }
