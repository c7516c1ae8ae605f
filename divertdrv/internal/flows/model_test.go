package flows

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// reference follows datagrams and pings as plainly as can be: a list of ends and times.
type reference struct {
	flows []refFlow
	told  []string
}

type refFlow struct {
	line string // as line writes it, without the event
	id   int
	seen int64
	idle int64
}

func (r *reference) see(line string, id int, idle, now int64) {
	for i := range r.flows {
		if r.flows[i].id == id {
			f := r.flows[i]
			f.seen = now
			r.flows = append(append(r.flows[:i:i], r.flows[i+1:]...), f)
			return
		}
	}
	r.flows = append(r.flows, refFlow{line, id, now, idle})
	r.told = append(r.told, "established"+line)
}

// expire ends what is due, pings before datagrams, each by their last packet.
func (r *reference) expire(now int64) {
	for _, idle := range []int64{otherIdle.Nanoseconds(), udpIdle.Nanoseconds()} {
		var left []refFlow
		for _, f := range r.flows {
			if f.idle == idle && f.seen+f.idle <= now {
				r.told = append(r.told, "deleted"+f.line)
			} else {
				left = append(left, f)
			}
		}
		r.flows = left
	}
}

func TestAgainstReference(t *testing.T) {
	lines := []string{
		" out 17 192.0.2.10:1 198.51.100.1:53", " out 17 192.0.2.10:2 198.51.100.1:53", " out 1 192.0.2.10:8 198.51.100.1:0",
		" out 1 192.0.2.10:8 198.51.100.1:0",
	}
	rapid.Check(t, func(rt *rapid.T) {
		w, r := newWatch(t, Config{}), &reference{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "packet") {
				n := rapid.IntRange(0, 3).Draw(rt, "flow")
				idle := int64(udpIdle)
				if n < 2 {
					w.see(packet(host, peer, wire.ProtoUDP, datagram(uint16(n+1), 53)), true)
				} else {
					idle = int64(otherIdle)
					w.see(packet(host, peer, wire.ProtoICMP, []byte{8, 0, 0, 0, 0, byte(n), 0, 1}), true)
				}
				r.see(lines[n], n, idle, w.now)
				continue
			}
			w.advance(time.Duration(rapid.IntRange(1, 70).Draw(rt, "seconds")) * time.Second)
			r.expire(w.now)
		}
		if w.Len() != len(r.flows) {
			rt.Fatalf("%d flows, want %d", w.Len(), len(r.flows))
		}
		w.want(r.told...)
	})
}

// Whatever comes, each flow that was established is deleted once or still there, and there are never too many.
func FuzzSee(f *testing.F) {
	f.Add(packet(host, peer, wire.ProtoTCP, segment(4000, 80, wire.SYN, 1, 0, 0)), true)
	f.Add(packet(peer, host, wire.ProtoTCP, segment(80, 4000, wire.SYN|wire.ACK, 1, 2, 0)), false)
	f.Add(packet(host, host, wire.ProtoTCP, segment(80, 80, wire.FIN|wire.ACK, 1, 2, 0)), true)
	f.Add(packet(peer6, host6, wire.ProtoICMPv6, []byte{128, 0, 0, 0, 0, 3, 0, 0}), false)
	f.Fuzz(func(t *testing.T, data []byte, outbound bool) {
		w := newWatch(t, Config{Max: 2})
		w.out(wire.SYN, 1, 0, 0)
		w.in(wire.SYN|wire.ACK, 1, 2, 0)
		w.see(data, outbound)
		w.see(data, !outbound)
		w.see(data, outbound)
		open := 0
		for i := range w.told {
			if w.told[i].Event() == 1 {
				open++
			} else {
				open--
			}
		}
		if open < 0 || open > w.Len() || w.Len() > 2 {
			t.Fatalf("%d open of %d", open, w.Len())
		}
		w.now += int64(tcpIdle)
		if w.Expire(w.now); w.Len() != 0 || w.Due() != Never {
			t.Fatalf("%d flows are left", w.Len())
		}
	})
}
