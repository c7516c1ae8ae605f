package nfqdrv

import (
	"testing"
	"time"
)

func TestEchoes(t *testing.T) {
	var e echoes
	a, b := []byte("a packet"), []byte("another packet")
	if e.heard(tokenOutbound, 5, a) {
		t.Error("an echo of nothing")
	}
	e.expect(tokenOutbound, 5, a)
	e.expect(tokenOutbound|tokenIPv6|7, 5, b) // only the place of a token counts
	for _, c := range []struct {
		name string
		t    token
		rank uint64
		data []byte
		want bool
	}{
		{"lower handles are to see it", tokenOutbound, 4, a, false},
		{"at another hook it is another packet", tokenForward, 9, a, false},
		{"other bytes", tokenOutbound, 9, a[:7], false},
		{"a handle that was opened above", tokenOutbound, 9, a, true},
		{"another one", tokenOutbound, 6, a, true},
		{"the handle that passed it", tokenOutbound, 5, a, true},
		{"it has gone by", tokenOutbound, 5, a, false},
		{"the other packet", tokenOutbound, 5, b, true},
	} {
		if got := e.heard(c.t, c.rank, c.data); got != c.want {
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
	large := make([]byte, 1<<20)
	for range 2 * echoBytes / len(large) {
		e.expect(0, 1, large)
	}
	if e.bytes > echoBytes || e.bytes != len(e.order)*len(large) || len(e.order) == 0 { // a slow machine may have forgotten some
		t.Errorf("%d packets of %d bytes", len(e.order), e.bytes)
	}
	e.mu.Lock()
	e.expire(time.Now().Add(2 * echoTime))
	e.mu.Unlock()
	if e.heard(0, 1, large) || e.bytes != 0 || len(e.known) != 0 || e.some.Load() {
		t.Errorf("left: %d bytes, %d packets", e.bytes, len(e.known))
	}
	for range echoCount + 1 {
		e.expect(0, 1, []byte{1})
	}
	if len(e.order) > echoCount || len(e.order) == 0 {
		t.Errorf("%d packets, want %d at most", len(e.order), echoCount)
	}
}
