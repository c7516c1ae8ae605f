package nfqdrv

import (
	"testing"
	"time"
)

func TestEchoes(t *testing.T) {
	var e echoes
	a, b := []byte("a packet"), []byte("another packet")
	low, high, late, under := &conn{rank: 5}, &conn{rank: 7}, &conn{rank: 9}, &conn{rank: 4}
	next := func() *flight { return &flight{legs: []leg{{to: low, after: 20}, {to: high, after: 200}}} }
	heard := func(c *conn, t token, data []byte) bool { return e.heard(c, t, data, next) }
	if heard(low, tokenOutbound|5, a) {
		t.Error("an echo of nothing")
	}
	f := &flight{legs: []leg{{to: under, after: 10, last: 12}, {to: low, after: 10, last: 12}, {to: high, after: 100, last: 103}}}
	e.expect(tokenOutbound, low, f, a)
	e.expect(tokenOutbound|tokenIPv6|7, low, f, b) // only the place of a token counts
	for _, c := range []struct {
		name string
		to   *conn
		t    token
		data []byte
		land bool
		want bool
	}{
		{"it came before the pass", low, tokenOutbound | 10, a, false, false},
		{"at another hook it is another packet", low, tokenForward | 11, a, false, false},
		{"other bytes", low, tokenOutbound | 11, a[:7], false, false},
		{"a lower handle is to see it", under, tokenOutbound | 11, a, false, false},
		{"a handle that was opened later", late, tokenOutbound | 11, a, false, false},
		{"it came when all was told", low, tokenOutbound | 13, a, true, false},
		{"a handle above, while the kernel is told", high, tokenOutbound | 103, a, false, true},
		{"now it is under way again, and this came before", low, tokenOutbound | 12, a, true, false},
		{"the handle that passed it", low, tokenOutbound | 21, a, true, true},
		{"it has gone by", low, tokenOutbound | 22, a, true, false},
		{"the other packet", low, tokenOutbound | 11, b, true, true},
	} {
		f.landed.Store(c.land)
		if got := heard(c.to, c.t, c.data); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if e.bytes != 0 || len(e.known) != 0 || e.some.Load() && len(e.order) == 0 {
		t.Errorf("left: %d bytes, %d packets", e.bytes, len(e.known))
	}
}

// What is not heard is forgotten, and there is never more than the bounds allow.
func TestEchoesAreForgotten(t *testing.T) {
	var e echoes
	c := &conn{}
	f := &flight{legs: []leg{{to: c}}}
	large := make([]byte, 1<<20)
	for range 2 * echoBytes / len(large) {
		e.expect(0, c, f, large)
	}
	if e.bytes > echoBytes || e.bytes != len(e.order)*len(large) || len(e.order) == 0 { // a slow machine may have forgotten some
		t.Errorf("%d packets of %d bytes", len(e.order), e.bytes)
	}
	e.mu.Lock()
	e.expire(time.Now().Add(2 * echoTime))
	e.mu.Unlock()
	if e.heard(c, 1, large, nil) || e.bytes != 0 || len(e.known) != 0 || e.some.Load() {
		t.Errorf("left: %d bytes, %d packets", e.bytes, len(e.known))
	}
	for range echoCount + 1 {
		e.expect(0, c, f, []byte{1})
	}
	if len(e.order) > echoCount || len(e.order) == 0 {
		t.Errorf("%d packets, want %d at most", len(e.order), echoCount)
	}
}
