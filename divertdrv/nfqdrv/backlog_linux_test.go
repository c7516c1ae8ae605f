package nfqdrv

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// modelPacket is what a plain list keeps of a packet.
type modelPacket struct {
	token token
	since int64
	data  []byte
}

// modelBacklog is the same in the plainest way: a list, whose limits are looked at one after another.
type modelBacklog struct {
	list     []modelPacket
	overload divertdrv.Overload
	limit    [3]uint64
	lost     []token
	why      []divertdrv.Cause
	passed   []token
}

func (m *modelBacklog) size() (n uint64) {
	for _, p := range m.list {
		n += uint64(len(p.data)) + overhead
	}
	return n
}

func (m *modelBacklog) expire(now int64) {
	for len(m.list) > 0 && now-m.list[0].since >= int64(m.limit[addr.QueueTime])*1e6 {
		m.lose(m.list[0].token, reason.QueueTime)
		m.list = m.list[1:]
	}
}

func (m *modelBacklog) lose(t token, why divertdrv.Cause) {
	m.lost, m.why = append(m.lost, t), append(m.why, why)
}

func (m *modelBacklog) admit(data []byte, now int64, t token) {
	m.expire(now)
	for {
		why := reason.Cause(0)
		switch {
		case uint64(len(m.list)) >= m.limit[addr.QueueLength]:
			why = reason.QueueLength
		case m.size()+uint64(len(data))+overhead > m.limit[addr.QueueSize]:
			why = reason.QueueSize
		default:
			m.list = append(m.list, modelPacket{t, now, bytes.Clone(data)})
			return
		}
		if m.overload == divertdrv.OverloadOpen {
			m.passed = append(m.passed, t)
			return
		}
		if m.overload == divertdrv.OverloadClosed || uint64(len(data))+overhead > m.limit[addr.QueueSize] || len(m.list) == 0 {
			m.lose(t, why)
			return
		}
		m.lose(m.list[0].token, why)
		m.list = m.list[1:]
	}
}

// The backlog does what a list does, byte by byte, whatever comes, goes, waits and is set.
func TestBacklogIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &modelBacklog{overload: divertdrv.Overload(rapid.IntRange(0, 2).Draw(t, "overload"))}
		var b backlog
		var lost, passed []token
		var why []divertdrv.Cause
		b.init(m.overload)
		b.lose = func(t token, c divertdrv.Cause) { lost, why = append(lost, t), append(why, c) }
		b.passBy = func(t token) { passed = append(passed, t) }
		set := func(p addr.Param, v uint64) {
			b.limit[p].Store(v)
			m.limit[p] = v
		}
		set(addr.QueueLength, 6)
		set(addr.QueueTime, 100)
		set(addr.QueueSize, 3000)
		var now int64
		var next token
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				next++
				data := bytes.Repeat([]byte{byte(next)}, rapid.SampledFrom([]int{0, 1, 20, 700, 1500, 2937, 2938, 5000}).Draw(t, "size"))
				a := divertdrv.Address{Timestamp: int64(next)}
				b.admit(&a, data, now, next)
				m.admit(data, now, next)
			},
			"take": func(t *rapid.T) {
				if b.n > 0 {
					b.remove()
					m.list = m.list[1:]
				}
			},
			"wait": func(t *rapid.T) {
				now += rapid.Int64Range(0, 60e6).Draw(t, "ns")
				b.expire(now)
				m.expire(now)
			},
			"set": func(t *rapid.T) {
				set(addr.QueueLength, rapid.Uint64Range(1, 200).Draw(t, "length"))
				set(addr.QueueSize, rapid.Uint64Range(100, 400000).Draw(t, "bytes"))
			},
			"": func(t *rapid.T) {
				if b.n != len(m.list) || b.size != m.size() {
					t.Fatalf("%d packets of %d bytes, want %d of %d", b.n, b.size, len(m.list), m.size())
				}
				for i, p := range m.list {
					e := b.at(i)
					if e.token != p.token || e.addr.Timestamp != int64(p.token) || !bytes.Equal(b.data(e), p.data) {
						t.Fatalf("packet %d of %d is not what was put in", i, b.n)
					}
				}
				if !slices.Equal(lost, m.lost) || !slices.Equal(why, m.why) || !slices.Equal(passed, m.passed) {
					t.Fatalf("lost %v by %v, passed %v; want %v by %v, %v", lost, why, passed, m.lost, m.why, m.passed)
				}
			},
		})
	})
}

// In the steady state a backlog allocates nothing.
func TestBacklogAllocs(t *testing.T) {
	var b backlog
	b.init(divertdrv.OverloadShedOldest)
	b.lose = func(token, divertdrv.Cause) {}
	data := make([]byte, 1500)
	var a divertdrv.Address
	round := func() {
		for i := range 100 {
			b.admit(&a, data, 0, token(i))
		}
		for b.n > 0 {
			b.remove()
		}
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
