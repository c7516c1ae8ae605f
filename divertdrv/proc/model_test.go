package proc

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// told is one thing that the table was told, as the reference keeps it.
type told struct {
	at       time.Time
	what     addr.Event
	endpoint uint64
	pid      uint32
	key      Key
}

// naive answers from the whole history, by reading it from the start each time.
type naive struct {
	history []told
	linger  time.Duration
	names   func(uint32) Process
}

// owners plays the history of one key: who has it open now, or who had it last and until when.
func (n *naive) owner(k Key, now time.Time) (Process, bool) {
	type holder struct {
		endpoint uint64
		pid      uint32
	}
	var open []holder
	var was Process
	var wasShared bool
	var until time.Time
	verdict := func() (Process, bool) {
		var all []Process
		for _, h := range open {
			all = append(all, n.names(h.pid))
		}
		for _, p := range all[1:] {
			if p.ID != all[0].ID && p.Name != all[0].Name {
				return Process{}, true
			}
		}
		same := all[0]
		for _, p := range all[1:] {
			if p.ID != same.ID {
				return Process{Name: same.Name, Path: same.Path}, false
			}
		}
		return same, false
	}
	for _, h := range n.history {
		switch {
		case h.what == addr.EventClose || h.what == addr.EventDeleted && h.key == k:
			if len(open) == 0 {
				continue
			}
			last, shared := verdict()
			open = slices.DeleteFunc(open, func(o holder) bool { return o.endpoint == h.endpoint })
			if len(open) == 0 {
				was, wasShared, until = last, shared, h.at.Add(n.linger)
			}
		case h.key != k || h.what == addr.EventDeleted:
		case k.Remote != wire.Endpoint{}:
			open = []holder{{h.endpoint, h.pid}}
		default:
			open = slices.DeleteFunc(open, func(o holder) bool { return o.endpoint == h.endpoint })
			open = append(open, holder{h.endpoint, h.pid})
		}
	}
	if len(open) > 0 {
		p, _ := verdict()
		return p, true
	}
	if !now.After(until) && (was.Known() || wasShared) {
		return was, true
	}
	return Process{}, false
}

// find asks for the connection, then for the sockets that take its packets.
func (n *naive) find(k Key, now time.Time) Process {
	if p, ok := n.owner(k, now); ok {
		return p
	}
	for _, b := range k.bound() {
		if p, ok := n.owner(b, now); ok {
			return p
		}
	}
	return Process{}
}

// Whatever order events, packets and time come in: the table says what the whole history says; each question is answered once, at
// the latest when its deadline has passed, and the books balance.
func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const deadline, linger = 100 * time.Millisecond, 300 * time.Millisecond
		w := newWorld("a", "b", "b", "c")
		c := clock.NewVirtual(epoch)
		table := New(Options{System: eventsOnly{w}, Clock: c, Deadline: deadline, Linger: linger, Refresh: time.Hour})
		ref := &naive{linger: linger, names: func(id uint32) Process { return w.procs[id] }}
		locals := []string{"10.0.0.1:1", "10.0.0.1:2", "0.0.0.0:1", "[::]:2"}
		remotes := []string{"1.2.3.4:1", "1.2.3.4:2"}
		type asked struct {
			at      time.Time
			key     Key
			answers int
			got     Process
		}
		var questions []*asked
		draw := func() (local, remote string, proto uint8) {
			return rapid.SampledFrom(locals).Draw(t, "local"), rapid.SampledFrom(remotes).Draw(t, "remote"), rapid.SampledFrom([]uint8{tcp, udp}).Draw(t, "proto")
		}
		tell := func(what addr.Event, remote bool) func(*rapid.T) {
			return func(*rapid.T) {
				l, r, proto := draw()
				if !remote {
					r = ""
				}
				h := told{c.Now(), what, rapid.Uint64Range(1, 4).Draw(t, "endpoint"), rapid.Uint32Range(1, 4).Draw(t, "pid"), keyOf(proto, l, r)}
				ref.history = append(ref.history, h)
				table.Event(event(h.at, what, h.endpoint, h.pid, proto, l, r))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"bind":        tell(addr.EventBind, false),
			"connect":     tell(addr.EventConnect, true),
			"accept":      tell(addr.EventAccept, true),
			"established": tell(addr.EventEstablished, true),
			"deleted":     tell(addr.EventDeleted, true),
			"close":       tell(addr.EventClose, false),
			"time":        func(*rapid.T) { c.Advance(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond) },
			"ask": func(*rapid.T) {
				l, r, proto := draw()
				q := &asked{at: c.Now(), key: keyOf(proto, l, r)}
				questions = append(questions, q)
				want := ref.find(q.key, c.Now())
				table.Ask(q.key, false, func(p Process, _ bool) { q.answers++; q.got = p })
				if want.Known() && (q.answers != 1 || q.got != want) {
					t.Fatalf("%+v: %+v, want %+v", q.key, q, want)
				}
			},
			"": func(*rapid.T) {
				s := table.Stats()
				balanced(t, s)
				waiting := uint64(0)
				for _, q := range questions {
					switch {
					case q.answers > 1:
						t.Fatalf("%+v was answered %d times", q.key, q.answers)
					case q.answers == 0:
						waiting++
						if !c.Now().Before(q.at.Add(deadline)) {
							t.Fatalf("%+v waits since %v", q.key, q.at)
						}
						if p := ref.find(q.key, c.Now()); p.Known() {
							t.Fatalf("%+v waits, and is %+v's", q.key, p)
						}
					}
				}
				if waiting != s.Waiting || int(s.Waiting) != c.Pending()-table.timers() {
					t.Fatalf("%d wait, the books say %d, %d timers run", waiting, s.Waiting, c.Pending())
				}
				for _, l := range locals {
					for _, r := range remotes {
						for _, proto := range []uint8{tcp, udp} {
							k := keyOf(proto, l, r)
							if got, _ := table.Owner(k); got != ref.find(k, c.Now()) {
								t.Fatalf("%+v: %+v, want %+v", k, got, ref.find(k, c.Now()))
							}
						}
					}
				}
				table.whole(t)
			},
		})
		table.Close()
		for _, q := range questions {
			if q.answers != 1 {
				t.Fatalf("%+v was answered %d times", q.key, q.answers)
			}
		}
	})
}

// eventsOnly is a system whose tables show nothing that events do not.
type eventsOnly struct{ *world }

func (eventsOnly) Sockets() ([]Socket, error) { return nil, nil }

// timers is how many run that are no question's.
func (t *Table) timers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.look.timer != nil {
		return 1
	}
	return 0
}

// whole checks that the table's parts agree.
func (t *Table) whole(tb interface{ Fatalf(string, ...any) }) {
	t.mu.Lock()
	defer t.mu.Unlock()
	live, closed, named := 0, 0, map[string]bool{}
	for k, e := range t.entries {
		if e.key != k {
			tb.Fatalf("%+v is filed as %+v", e.key, k)
		}
		if len(e.owners) == 0 {
			closed++
		} else {
			live++
		}
		for _, o := range e.owners {
			named[fmt.Sprint(o.endpoint, k)] = true
		}
	}
	if live != t.live.Len() || closed != t.closed.Len() || len(t.entries) > t.opts.Max {
		tb.Fatalf("%d live of %d, %d closed of %d", t.live.Len(), live, t.closed.Len(), closed)
	}
	for endpoint, keys := range t.endpoints {
		for _, k := range keys {
			if !named[fmt.Sprint(endpoint, k)] {
				tb.Fatalf("endpoint %d names %+v, which it does not own", endpoint, k)
			}
		}
		if len(keys) == 0 {
			tb.Fatalf("endpoint %d names nothing", endpoint)
		}
	}
}

// With looks between, and hardly any room, no question is lost, nothing is out of bounds, and what is told is true: whoever is named
// has had such a socket.
func TestJoinBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("a", "b", "c")
		c := clock.NewVirtual(epoch)
		table := New(Options{System: w, Clock: c, Max: 3, Waiting: 2, Deadline: 100 * time.Millisecond, Refresh: 50 * time.Millisecond})
		owned := map[Key]map[uint32]bool{}
		own := func(k Key, pid uint32) {
			if owned[k] == nil {
				owned[k] = map[uint32]bool{}
			}
			owned[k][pid] = true
		}
		asked, answered := 0, 0
		key := func() (local, remote string, k Key) {
			local = rapid.SampledFrom([]string{"10.0.0.1:1", "10.0.0.1:2", "0.0.0.0:1"}).Draw(t, "local")
			remote = rapid.SampledFrom([]string{"", "1.2.3.4:1", "1.2.3.4:2"}).Draw(t, "remote")
			return local, remote, keyOf(udp, local, remote)
		}
		t.Repeat(map[string]func(*rapid.T){
			"event": func(*rapid.T) {
				l, r, k := key()
				pid := rapid.Uint32Range(1, 3).Draw(t, "pid")
				what := addr.EventConnect
				if r == "" {
					what = addr.EventBind
				}
				own(k, pid)
				table.Event(event(c.Now(), what, rapid.Uint64Range(0, 9).Draw(t, "endpoint"), pid, udp, l, r))
			},
			"close": func(*rapid.T) {
				l, r, _ := key()
				table.Event(event(c.Now(), addr.EventClose, rapid.Uint64Range(0, 9).Draw(t, "endpoint"), 1, udp, l, r))
			},
			"sockets": func(*rapid.T) {
				w.sockets = nil
				for range rapid.IntRange(0, 5).Draw(t, "sockets") {
					_, _, k := key()
					s := Socket{k, rapid.SliceOfN(rapid.Uint32Range(1, 3), 0, 3).Draw(t, "owners")}
					w.sockets = append(w.sockets, s)
					for _, id := range s.Owners {
						own(k, id)
					}
				}
			},
			"look": func(*rapid.T) { _ = table.Look() },
			"time": func(*rapid.T) { c.Advance(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond) },
			"ask": func(*rapid.T) {
				_, _, k := key()
				asked++
				table.Ask(k, rapid.Bool().Draw(t, "inbound"), func(p Process, _ bool) {
					answered++
					ok := !p.Known() || owned[k][p.ID]
					for _, b := range k.bound() {
						ok = ok || owned[b][p.ID]
					}
					if !ok {
						t.Errorf("%+v is said to be %+v's, which never had it", k, p)
					}
				})
			},
			"": func(*rapid.T) {
				s := table.Stats()
				balanced(t, s)
				if int(s.Asked) != asked || asked-answered != int(s.Waiting) || s.Waiting > 2 {
					t.Fatalf("%d asked, %d answered, %+v", asked, answered, s)
				}
				table.whole(t)
			},
		})
		table.Close()
		if asked != answered {
			t.Fatalf("%d asked, %d answered", asked, answered)
		}
	})
}
