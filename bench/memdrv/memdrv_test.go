package memdrv_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/bench/memdrv"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject/craft"
)

// Do returns when all packets are completed; what the filter does not take is not seen, what is dropped does not leave.
func TestDo(t *testing.T) {
	var ring [2][]byte
	for i := range ring {
		var err error
		if ring[i], err = craft.UDP(netip.MustParseAddrPort("10.0.0.1:1"), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), uint16(50+i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	var a divertdrv.Address
	given, left, flushed := 0, 0, 0
	d := memdrv.New(memdrv.Config{
		Filters: true, Batch: 8,
		Next:  func() (*divertdrv.Address, []byte) { given++; return &a, ring[given%2] },
		Out:   func(data []byte) { left++ },
		Flush: func() { flushed++ },
	})
	h, err := divertdrv.Open("udp.DstPort == 50", divertdrv.Network, &divertdrv.Options{Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d}); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("a second handle: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		b := divertdrv.NewBatch(64, 1<<17)
		for n := 0; ; {
			if err := h.Recv(b); err != nil {
				ended <- err
				return
			}
			for i := range b.Packets() {
				if n++; n%4 != 0 {
					b.Packets()[i].Set(divertdrv.Pass, 0)
				}
			}
			if err := h.Complete(b); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 2 {
		if err := d.Do(80); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.Stats(); given != 160 || left != 60 || flushed != 20 || s.Received != 80 || s.Passed != 60 || s.DroppedTotal() != 20 || s.Conserved() != nil {
		t.Errorf("given %d, left %d, flushed %d, %+v, %v", given, left, flushed, s, s.Conserved())
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, divertdrv.ErrShutdown) && !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("the reader ended with %v", err)
	}
	if err := d.Do(8); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Do of a closed driver: %v", err)
	}
}
