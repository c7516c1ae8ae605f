package tap

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

func shown(t testing.TB, payload int) *processor.Classification {
	t.Helper()
	var a divertdrv.Address
	a.Timestamp = 1_700_000_000_000_000_000
	return &processor.Classification{
		Layer: processor.OutboundTransport, Filter: "f", Packet: divertdrv.NewPacket(a, datagram(t, 80, make([]byte, payload)...)),
	}
}

// stuck is a disk that takes nothing until it is let go.
type stuck struct {
	gate chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.gate
	return s.Buffer.Write(p)
}

// A disk that does not move holds no packet up. What found room is written when it does, and the rest is counted.
func TestStuckDisk(t *testing.T) {
	c := newTap(t, "x", Config{Queue: 10, Records: "seen"})
	disk := &stuck{gate: make(chan struct{})}
	c.start(disk)
	const packets = 1000
	for range packets {
		c.Classify(shown(t, 1))
	}
	close(disk.gate)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	s := c.Stats()
	if s.Shown != packets || s.Written+s.Unwritten != packets || s.Written < 10 || s.Written > 20 {
		t.Errorf("%+v: each of two queues has room for 10", s)
	}
	if got := len(readRecords(t, disk.Bytes())); uint64(got) != s.Written {
		t.Errorf("%d records in the file, %d counted", got, s.Written)
	}
}

// The queue is bounded in bytes too: a packet of the largest size always fits into an empty one.
func TestQueueOfLargePackets(t *testing.T) {
	c := newTap(t, "x", Config{Queue: 10, Records: "seen"})
	disk := &stuck{gate: make(chan struct{})}
	c.start(disk)
	for range 20 {
		c.Classify(shown(t, 60_000))
	}
	close(disk.gate)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Written < 1 || s.Written > 2 || s.Written+s.Unwritten != 20 {
		t.Errorf("%+v", s)
	}
}

// broken fails from the start.
type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

func TestBrokenDisk(t *testing.T) {
	c := newTap(t, "x", Config{Records: "seen"})
	full := errors.New("no space left on device")
	var told []error
	c.OnBroken(func(err error) { told = append(told, err) })
	c.start(broken{full})
	for range 50 {
		c.Classify(shown(t, 1))
	}
	if err := c.stop(); !errors.Is(err, full) {
		t.Errorf("stop: %v", err)
	}
	if len(told) != 1 || !errors.Is(told[0], full) || !strings.Contains(told[0].Error(), `callout "x"`) {
		t.Errorf("told %v", told)
	}
	if s := c.Stats(); s != (Stats{Shown: 50, Unwritten: 50}) {
		t.Errorf("%+v", s)
	}
}

func TestLife(t *testing.T) {
	c := newTap(t, "x", Config{Records: "seen"})
	c.Classify(shown(t, 1))
	if err := c.Close(); err != nil {
		t.Errorf("closing what was not started: %v", err)
	}
	for round := range 2 {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err == nil || !strings.Contains(err.Error(), "started before") {
			t.Errorf("the second Start: %v", err)
		}
		c.Classify(shown(t, round))
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if r := readFile(t, c.Path()); len(r) != 1 || int(r[0].wire) != 28+round {
			t.Errorf("round %d: %+v", round, r)
		}
		c.Classify(shown(t, 1))
	}
	if s := c.Stats(); s != (Stats{Shown: 5, Written: 2, Unwritten: 3}) {
		t.Errorf("%+v", s)
	}
	nowhere := newTap(t, "x", Config{Write: filepath.Join(t.TempDir(), "no", "such", "folder.pcapng")})
	if err := nowhere.Start(); err == nil || !strings.Contains(err.Error(), `callout "x": open `) {
		t.Errorf("%v", err)
	}
}

// Workers show packets while others do and the file is written: nothing mixes, nothing is lost without being counted.
func TestManyWorkers(t *testing.T) {
	c := newTap(t, "x", Config{})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	const workers, packets = 4, 500
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			cl := shown(t, w)
			for range packets {
				v := c.Classify(cl)
				c.Followed(v.Follow, processor.Outcome{Addr: cl.Packet.Addr, Data: cl.Packet.Data, Fate: processor.Passed})
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s := c.Stats()
	if s.Shown != workers*packets || s.Written+s.Unwritten != 2*workers*packets {
		t.Errorf("%+v", s)
	}
	sizes := map[uint64]uint32{}
	all := readFile(t, c.Path())
	for _, r := range all {
		if was, ok := sizes[r.id]; ok && was != r.wire {
			t.Errorf("packet %d has %d and %d bytes", r.id, was, r.wire)
		}
		sizes[r.id] = r.wire
	}
	if uint64(len(all)) != s.Written {
		t.Errorf("%d records, %d counted", len(all), s.Written)
	}
}

// A ticket tells the whole number of its packet, whatever came in between.
func TestTicket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := New("x", Config{Write: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		id := rapid.Uint64Range(1, 1<<60).Draw(t, "id")
		c.ids.Store(id)
		n := c.ticket(id)
		c.ids.Add(rapid.Uint64Range(0, 1<<idBits-1).Draw(t, "between"))
		got, took := c.punch(n)
		if got != id || n == 0 || took < 0 || took > 60e9 {
			t.Fatalf("packet %d after %d ns, want %d", got, took, id)
		}
	})
}

// Where the clock stands still between two of its ticks, as on Windows, a packet took no time.
func TestTicketWithinATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New("x", Config{Write: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		if id, took := c.punch(c.ticket(0)); id != 0 || took != 0 {
			t.Errorf("packet %d after %d ns", id, took)
		}
		time.Sleep(time.Millisecond)
		n := c.ticket(7)
		c.ids.Store(7)
		time.Sleep(time.Second)
		if id, took := c.punch(n); id != 7 || took != 1e9 {
			t.Errorf("packet %d after %d ns", id, took)
		}
	})
}

// Without a writer, whose allocations are its own.
func TestClassifyDoesNotAllocate(t *testing.T) {
	c := newTap(t, "x", Config{})
	c.queue.open(QueueDefault, divertdrv.MTUMax)
	cl := shown(t, 1000)
	if n := testing.AllocsPerRun(400, func() {
		v := c.Classify(cl)
		c.Followed(v.Follow, processor.Outcome{Addr: cl.Packet.Addr, Data: cl.Packet.Data})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c.Stats().Unwritten != 0 {
		t.Error("the queue was full, so the test looked at nothing")
	}
}
