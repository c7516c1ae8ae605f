package simdrv

import (
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
)

// orderly is a driver that notes which of its handles is closed when.
type orderly struct {
	divertdrv.Driver
	order []int
	n     int
}

func (c *orderly) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	inner, err := c.Driver.Open(f, l, o)
	c.n++
	return &orderlyConn{inner, c, c.n}, err
}

type orderlyConn struct {
	divertdrv.Conn
	driver *orderly
	number int
}

func (c *orderlyConn) Close() error {
	c.driver.order = append(c.driver.order, c.number)
	return c.Conn.Close()
}

// A driver that dies closes its handles in the order in which they were opened, so that what they had queued goes the same way in
// each run.
func TestDeathClosesInOrder(t *testing.T) {
	inner := &orderly{Driver: New(Config{})}
	d := WithFaults(inner, DriverFaults{})
	var want []int
	var early *divertdrv.Handle
	for i := range 20 {
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d})
		if err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			early = h
			continue
		}
		want = append(want, i+1)
	}
	if err := early.Close(); err != nil {
		t.Fatal(err)
	}
	inner.order = nil
	d.Die()
	d.Die()
	if !slices.Equal(inner.order, want) {
		t.Errorf("closed %v, want %v", inner.order, want)
	}
}
