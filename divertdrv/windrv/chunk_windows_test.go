package windrv_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
	"github.com/weirnet/weir/divertdrv/wire"
)

// passing passes what it sends, in as few requests as may be: the packets lie ready before they are received.
type passing struct {
	t      *testing.T
	server *standin.Server
	world  *drvtest.World
	handle *divertdrv.Handle
}

func newPassing(t *testing.T) *passing {
	p := &passing{t: t, server: need(t)}
	p.world = newWorld(t, p.server, config())
	p.handle = opened(t, p.world, divertdrv.Options{})
	return p
}

// pass returns in how many requests the packets went.
func (p *passing) pass(numbers ...int) (requests int) {
	p.t.Helper()
	send(p.t, p.world, numbers...)
	return p.complete(len(numbers))
}

func (p *passing) complete(n int) (requests int) {
	p.t.Helper()
	before := p.server.Asked(standin.Send)
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<18)
	for got := 0; got < n; {
		if err := p.handle.Recv(b); err != nil {
			p.t.Fatal(err)
		}
		got += b.Len()
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := p.handle.Complete(b); err != nil {
			p.t.Fatal(err)
		}
	}
	return p.server.Asked(standin.Send) - before
}

// refuse has the stack refuse these packets, while others of the same request go.
func (p *passing) refuse(status standin.Status, numbers ...int) {
	p.server.Refuse(func(packet []byte) (standin.Status, bool) {
		return status, slices.Contains(numbers, int(binary.BigEndian.Uint32(packet[numberOff:])))
	})
	p.t.Cleanup(func() { p.server.Refuse(nil) })
}

// want checks the books: what passed, and what did not, by cause.
func (p *passing) want(passed uint64, dropped map[reason.Cause]uint64) {
	p.t.Helper()
	var want [reason.Max]uint64
	for cause, n := range dropped {
		want[cause] = n
	}
	if st := p.handle.Stats(); st.Passed != passed || st.Dropped != want || st.Conserved() != nil {
		p.t.Errorf("%+v; want %d passed and dropped %v", st, passed, dropped)
	}
}

func count(first, n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, first+i)
	}
	return numbers
}

// Of a chunk that fails nothing is sent twice and everything is counted as doubtful, for the driver does not say what of it went.
// What follows goes one by one, and what is refused then is known, alone.
func TestFailedChunk(t *testing.T) {
	p := newPassing(t)
	p.pass(count(1, 15)...) // in chunks of 1, 2, 4 and 8, if they were ready
	left(t, p.world, count(1, 15)...)

	p.refuse(standin.Win32(1231), 22, 32)
	p.pass(count(21, 4)...)
	left(t, p.world, 21, 23, 24)
	p.want(15, map[reason.Cause]uint64{reason.SendDoubtful: 4})

	if n := p.pass(count(31, 4)...); n != 4 {
		t.Errorf("4 packets went in %d requests", n)
	}
	left(t, p.world, 31, 33, 34)
	p.want(18, map[reason.Cause]uint64{reason.SendDoubtful: 4, reason.SendFailed: 1})

	p.pass(count(101, 80)...) // and chunks grow again
	if n := p.pass(count(201, 16)...); n >= 16 {
		t.Errorf("16 packets went in %d requests", n)
	}
	p.want(114, map[reason.Cause]uint64{reason.SendDoubtful: 4, reason.SendFailed: 1})
}

// What a driver refuses as a whole is known: nothing of it went.
func TestRefusedChunk(t *testing.T) {
	p := newPassing(t)
	p.pass(count(1, 15)...)
	p.server.Fail(standin.Send, standin.PipeEmpty, 0)
	p.pass(count(21, 4)...)
	left(t, p.world, count(1, 15)...)
	p.want(15, map[reason.Cause]uint64{reason.Shutdown: 4})
}

// A packet that is larger than a network takes goes alone, so the others do not share in its refusal.
func TestLargePacketGoesAlone(t *testing.T) {
	p := newPassing(t)
	p.pass(count(1, 15)...)
	left(t, p.world, count(1, 15)...)
	p.refuse(standin.InvalidParameter, 22)
	send(t, p.world, 21)
	large := append(datagram(22, passPort), make([]byte, 3000)...)
	binary.BigEndian.PutUint16(large[2:], uint16(len(large)))
	binary.BigEndian.PutUint16(large[wire.IPv4HeaderLen+4:], uint16(len(large)-wire.IPv4HeaderLen))
	wire.CalcChecksums(large, 0)
	if err := p.world.Network.Send(drvtest.Outbound, large); err != nil {
		t.Fatal(err)
	}
	send(t, p.world, 23, 24)
	p.complete(4)
	left(t, p.world, 21, 23, 24)
	p.want(18, map[reason.Cause]uint64{reason.SendFailed: 1})
}
