package divertdrv_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// atMost wraps a driver whose Recv it limits.
type atMost struct {
	divertdrv.Driver
	n int
}

type atMostConn struct {
	divertdrv.Conn
	n int
}

func (d atMost) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := d.Driver.Open(f, l, o)
	return atMostConn{c, d.n}, err
}

func (c atMostConn) Recv(b *divertdrv.Batch) error {
	b.Limit(c.n)
	return c.Conn.Recv(b)
}

// A limit holds for one round, does not make a batch larger, and is at least 1.
func TestLimit(t *testing.T) {
	for _, c := range []struct{ limit, want int }{{-1, 1}, {0, 1}, {3, 3}, {8, 8}, {1000, 8}} {
		sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 64)})
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: atMost{sim, c.limit}})
		if err != nil {
			t.Fatal(err)
		}
		b := divertdrv.NewBatch(8, 1<<20)
		for range 3 {
			if err := h.Recv(b); err != nil || b.Len() != c.want {
				t.Errorf("limit %d: %v, %d packets, want %d", c.limit, err, b.Len(), c.want)
			}
			if err := h.Complete(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	panics(t, "Limit outside of Recv", func() { divertdrv.NewBatch(1, 1).Limit(1) })
}
