package simdrv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/internal/clock"
)

var pipeStart = time.Unix(1_000_000, 0)

// arrival is what came out of a pipe, and when.
type arrival struct {
	at   time.Duration // since pipeStart
	data []byte
}

// flow sends n numbered packets of 40 bytes through a pipe, a microsecond apart, and waits for the last one.
func flow(t testing.TB, c PipeConfig, n int) ([]arrival, PipeStats) {
	t.Helper()
	v := clock.NewVirtual(pipeStart)
	c.Clock = v
	var out []arrival
	p := NewPipe(c, func(data []byte) error {
		out = append(out, arrival{v.Now().Sub(pipeStart), bytes.Clone(data)})
		return nil
	})
	for i := range n {
		p.Send(numbered(i))
		lawful(t, p)
		v.Advance(time.Microsecond)
	}
	v.Advance(time.Hour)
	lawful(t, p)
	if v.Pending() != 0 {
		t.Errorf("%d timers wait for nothing", v.Pending())
	}
	st := p.Stats()
	if st.UnderWay != 0 || st.Sent != uint64(n) || st.Delivered != uint64(len(out)) {
		t.Errorf("stats %+v, %d arrived", st, len(out))
	}
	return out, st
}

func lawful(t testing.TB, p *Pipe) {
	t.Helper()
	if st := p.Stats(); st.Sent+st.Duplicated != st.Delivered+st.Dropped+st.NoRoom+st.Refused+st.UnderWay {
		t.Errorf("the law of PipeStats: %+v", st)
	}
}

func numbered(n int) []byte {
	data := bytes.Repeat([]byte{0xa5}, 40)
	binary.BigEndian.PutUint32(data, uint32(n))
	return data
}

func order(out []arrival) (numbers []int) {
	for _, a := range out {
		numbers = append(numbers, int(binary.BigEndian.Uint32(a.data)))
	}
	return numbers
}

const many = 10_000

// about says that a count is what a chance comes to in many packets, within five standard deviations.
func about(t testing.TB, what string, got uint64, chance float64) {
	t.Helper()
	want := chance * many
	if off := float64(got) - want; off*off > 25*want*(1-chance) {
		t.Errorf("%s: %d of %d, want about %.0f", what, got, many, want)
	}
}

func TestPipeDrops(t *testing.T) {
	out, st := flow(t, PipeConfig{Faults: Faults{Seed: 1, Drop: 0.05}}, many)
	about(t, "dropped", st.Dropped, 0.05)
	if !slices.IsSortedFunc(out, func(a, b arrival) int { return bytes.Compare(a.data, b.data) }) || len(out)+int(st.Dropped) != many {
		t.Error("what is left is not in order")
	}
}

func TestPipeDuplicates(t *testing.T) {
	out, st := flow(t, PipeConfig{Faults: Faults{Seed: 1, Duplicate: 0.1}}, many)
	about(t, "duplicated", st.Duplicated, 0.1)
	got := order(out)
	if once := slices.Compact(slices.Clone(got)); len(once) != many || len(got)-many != int(st.Duplicated) || !slices.IsSorted(got) {
		t.Errorf("%d arrived, %d of them different", len(got), len(once))
	}
}

// A packet is late by up to DelayMax, and those behind it are not: they overtake.
func TestPipeReorders(t *testing.T) {
	const delay, most = time.Millisecond, 100 * time.Microsecond
	out, st := flow(t, PipeConfig{Delay: delay, Faults: Faults{Seed: 1, Reorder: 0.1, DelayMax: most}}, many)
	about(t, "reordered", st.Reordered, 0.1)
	late := uint64(0)
	for i, n := range order(out) {
		took := out[i].at - time.Duration(n)*time.Microsecond
		if took < delay || took > delay+most {
			t.Fatalf("packet %d took %v", n, took)
		}
		if took > delay {
			late++
		}
	}
	if late != st.Reordered || slices.IsSorted(order(out)) {
		t.Errorf("%d late, %d counted", late, st.Reordered)
	}
}

// A packet and all behind it are late: nothing overtakes.
func TestPipeDelays(t *testing.T) {
	const delay, most = time.Millisecond, 100 * time.Microsecond
	out, st := flow(t, PipeConfig{Delay: delay, Faults: Faults{Seed: 1, Delay: 0.01, DelayMax: most}}, many)
	about(t, "delayed", st.Delayed, 0.01)
	if got := order(out); !slices.IsSorted(got) || len(got) != many {
		t.Error("not in order")
	}
	late := 0
	for i := range out {
		took := out[i].at - time.Duration(i)*time.Microsecond
		if took < delay || took > delay+most {
			t.Fatalf("packet %d took %v", i, took)
		}
		late += count(took > delay)
	}
	if late <= int(st.Delayed) {
		t.Errorf("%d late, though %d delayed others too", late, st.Delayed)
	}
}

func TestPipeCorrupts(t *testing.T) {
	out, st := flow(t, PipeConfig{Faults: Faults{Seed: 1, Corrupt: 0.1}}, many)
	about(t, "corrupted", st.Corrupted, 0.1)
	wrong, where := uint64(0), make(map[int]bool)
	for i, a := range out {
		flipped := 0
		for j, b := range numbered(i) {
			if x := b ^ a.data[j]; x != 0 {
				flipped += bits.OnesCount8(x)
				where[8*j+bits.TrailingZeros8(x)] = true
			}
		}
		if flipped > 1 {
			t.Fatalf("%d bits of packet %d are others", flipped, i)
		}
		wrong += uint64(flipped)
	}
	if wrong != st.Corrupted || len(where) < 290 { // of 320, by 1000 throws
		t.Errorf("%d wrong, %d counted, %d places", wrong, st.Corrupted, len(where))
	}
}

func TestPipeTruncates(t *testing.T) {
	out, st := flow(t, PipeConfig{Faults: Faults{Seed: 1, Truncate: 0.1}}, many)
	about(t, "truncated", st.Truncated, 0.1)
	short, lengths := uint64(0), make(map[int]bool)
	for i, a := range out {
		if !bytes.HasPrefix(numbered(i), a.data) {
			t.Fatalf("packet %d is another", i)
		}
		if lengths[len(a.data)] = true; len(a.data) < 40 {
			short++
		}
	}
	if short != st.Truncated || len(lengths) != 41 {
		t.Errorf("%d short, %d counted, %d lengths", short, st.Truncated, len(lengths))
	}
}

var allFaults = Faults{Drop: 0.05, Duplicate: 0.05, Reorder: 0.1, Delay: 0.05, Corrupt: 0.05, Truncate: 0.05, DelayMax: 50 * time.Microsecond}

// The seed is all that decides.
func TestPipeRepeats(t *testing.T) {
	run := func(seed uint64) string {
		f := allFaults
		f.Seed = seed
		out, st := flow(t, PipeConfig{Faults: f}, 1000)
		return fmt.Sprintf("%v %+v", out, st)
	}
	if run(7) != run(7) {
		t.Error("the same seed did something else")
	}
	if run(7) == run(8) {
		t.Error("another seed did the same")
	}
}

// What befalls a packet follows from its number: one chance more does not change the luck of the others.
func TestPipeFaultsAreIndependent(t *testing.T) {
	plain, _ := flow(t, PipeConfig{Faults: Faults{Seed: 3, Drop: 0.1}}, 1000)
	rough := allFaults
	rough.Seed, rough.Drop, rough.Corrupt = 3, 0.1, 0
	out, _ := flow(t, PipeConfig{Faults: rough}, 1000)
	got := make(map[int]bool)
	for _, a := range out {
		if len(a.data) >= 4 {
			got[int(binary.BigEndian.Uint32(a.data))] = true
		}
	}
	came := make(map[int]bool)
	for _, n := range order(plain) {
		came[n] = true
	}
	for n := range got {
		if !came[n] {
			t.Fatalf("packet %d came, which is lost with this seed", n)
		}
	}
}

func TestPipeOverload(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	var out []int
	p := NewPipe(PipeConfig{Clock: v, Delay: time.Second, Max: 5}, func(data []byte) error {
		out = append(out, int(data[3]))
		return nil
	})
	for i := range 8 {
		p.Send(numbered(i))
	}
	lawful(t, p)
	if st := p.Stats(); st.UnderWay != 5 || st.NoRoom != 3 {
		t.Errorf("stats %+v", st)
	}
	v.Advance(time.Second)
	p.Send(numbered(8)) // there is room again
	v.Advance(time.Second)
	lawful(t, p)
	if want := []int{0, 1, 2, 3, 4, 8}; !slices.Equal(out, want) {
		t.Errorf("arrived %v, want %v", out, want)
	}
}

func TestPipeCloses(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	p := NewPipe(PipeConfig{Clock: v, Delay: time.Second}, func([]byte) error {
		t.Error("arrived after Close")
		return nil
	})
	p.Send(numbered(1))
	p.Close()
	p.Close()
	p.Send(numbered(2))
	if v.Pending() != 0 {
		t.Error("a timer outlives the pipe")
	}
	v.Advance(time.Hour)
	lawful(t, p)
	if st := p.Stats(); st.NoRoom != 2 {
		t.Errorf("stats %+v", st)
	}
}

// Whoever gets packets may send and look at the counts, and its refusals are counted.
func TestPipeFromWithin(t *testing.T) {
	var p *Pipe
	var out []int
	p = NewPipe(PipeConfig{Clock: clock.NewVirtual(pipeStart)}, func(data []byte) error {
		out = append(out, int(data[3]))
		if lawful(t, p); p.Stats().UnderWay != 1 {
			t.Errorf("stats %+v", p.Stats())
		}
		if n := data[3]; n < 3 {
			p.Send(numbered(int(n) + 1))
			return nil
		}
		return errors.New("enough")
	})
	p.Send(numbered(0))
	lawful(t, p)
	if st := p.Stats(); !slices.Equal(out, []int{0, 1, 2, 3}) || st.Refused != 1 || st.Delivered != 3 {
		t.Errorf("arrived %v, stats %+v", out, st)
	}
}

// In real time, with the timer's goroutine.
func TestPipeOnTheSystemClock(t *testing.T) {
	out := make(chan byte, 2)
	p := NewPipe(PipeConfig{Delay: time.Millisecond}, func(data []byte) error {
		out <- data[3]
		return nil
	})
	p.Send(numbered(1))
	p.Send(numbered(2))
	if a, b := <-out, <-out; a != 1 || b != 2 {
		t.Errorf("arrived %d, %d", a, b)
	}
	p.Close()
	lawful(t, p)
}

func TestPipeAllocatesNothing(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	p, data := NewPipe(PipeConfig{Clock: v}, func([]byte) error { return nil }), numbered(1)
	if n := testing.AllocsPerRun(200, func() { p.Send(data) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// Whatever is sent, and whenever: the law holds, nothing comes before its time or after its last, and nothing comes that was not sent.
func TestPipeProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := Faults{Seed: rapid.Uint64().Draw(r, "seed"), DelayMax: time.Duration(rapid.IntRange(0, 300).Draw(r, "delayMax")) * time.Microsecond}
		for _, chance := range []*float64{&f.Drop, &f.Duplicate, &f.Reorder, &f.Delay} {
			*chance = rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(r, "chance")
		}
		v := clock.NewVirtual(pipeStart)
		c := PipeConfig{Clock: v, Delay: time.Duration(rapid.IntRange(0, 100).Draw(r, "delay")) * time.Microsecond, Faults: f, Max: rapid.IntRange(0, 20).Draw(r, "max")}
		var sent []time.Time
		var came []int
		var p *Pipe
		p = NewPipe(c, func(data []byte) error {
			n := int(binary.BigEndian.Uint32(data))
			if n >= len(sent) || !bytes.Equal(data, numbered(n)) {
				r.Fatalf("%x was never sent", data)
			}
			most := c.Delay
			if f.Reorder > 0 {
				most += p.config.Faults.DelayMax
			}
			if f.Delay > 0 {
				most += p.config.Faults.DelayMax * time.Duration(n+1) // those before it delay it too
			}
			if took := v.Now().Sub(sent[n]); took < c.Delay || took > most {
				r.Fatalf("packet %d took %v, want %v to %v", n, took, c.Delay, most)
			}
			came = append(came, n)
			if n%7 == 3 {
				return errors.New("not this one")
			}
			return nil
		})
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			default:
				sent = append(sent, v.Now())
				p.Send(numbered(len(sent) - 1))
			case 7, 8:
				v.Advance(time.Duration(rapid.IntRange(0, 200).Draw(r, "advance")) * time.Microsecond)
			case 9:
				if rapid.IntRange(0, 9).Draw(r, "close") == 0 {
					p.Close()
				}
			}
			lawful(t, p)
		}
		v.Advance(time.Hour)
		lawful(t, p)
		if st := p.Stats(); st.UnderWay != 0 || int(st.Delivered+st.Refused) != len(came) || v.Pending() != 0 {
			r.Fatalf("stats %+v, %d came, %d timers", st, len(came), v.Pending())
		}
		if f.Reorder == 0 && !slices.IsSorted(came) {
			r.Fatalf("out of order: %v", came)
		}
	})
}
