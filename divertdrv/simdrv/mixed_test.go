package simdrv

import (
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// mixed is a host whose traffic goes through two handles, the higher of which changes a packet in four.
type mixed struct {
	t           *testing.T
	low, high   *divertdrv.Handle
	batch       *divertdrv.Batch
	left, wrong int // packets that left, and those of them with a wrong length or checksum
}

func newMixed(t *testing.T, packets int) *mixed {
	m := &mixed{t: t, batch: divertdrv.NewBatch(64, 1<<18)}
	s := New(Config{Source: NewTraffic(42, packets), OnWire: m.check, OnHost: m.check})
	m.low, m.high = open(t, s, "true", divertdrv.Options{}), open(t, s, "true", divertdrv.Options{Priority: 1})
	return m
}

// check is for what leaves. Of a changed fragment nobody can know the sum over the whole datagram, so Verify does not ask.
func (m *mixed) check(_ *divertdrv.Address, data []byte) {
	m.left++
	var h wire.Headers
	wire.Parse(data, &h)
	ip, transport := wire.Verify(data, &h)
	if ip == wire.SumBad || transport == wire.SumBad || int(h.Total) != len(data) {
		m.wrong++
	}
}

// step takes one batch through both handles; false: there are no more.
func (m *mixed) step() bool {
	if err := m.high.Recv(m.batch); err != nil {
		if !errors.Is(err, divertdrv.ErrShutdown) {
			m.t.Fatal(err)
		}
		return false
	}
	for i := range m.batch.Packets() {
		if p := &m.batch.Packets()[i]; i%4 == 0 && len(p.Data) > 60 {
			p.Edit()[len(p.Data)-1]++
		}
	}
	pass(m.t, m.high, m.batch)
	if err := m.low.Recv(m.batch); err != nil {
		m.t.Fatal(err)
	}
	pass(m.t, m.low, m.batch)
	return true
}

// Ten thousand mixed packets: nothing is allocated between Recv and Complete, nothing is lost, and what comes out is right.
func TestTenThousandMixedPackets(t *testing.T) {
	const packets = 10_000
	m := newMixed(t, packets)
	for range 10 { // the queue of the lower handle finds its size
		m.step()
	}
	if n := testing.AllocsPerRun(100, func() { m.step() }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
	for m.step() {
	}
	if m.left != packets || m.wrong != 0 {
		t.Errorf("%d packets left, %d of them with wrong lengths or checksums", m.left, m.wrong)
	}
	for _, h := range []*divertdrv.Handle{m.low, m.high} {
		if st := h.Stats(); st.Passed != packets || st.Lost != 0 {
			t.Errorf("passed %d, lost %d", st.Passed, st.Lost)
		}
	}
}
