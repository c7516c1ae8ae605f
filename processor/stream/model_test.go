package stream

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// place is a byte that tells where in a stream it stands.
func place(i uint32) byte { return byte(i*2654435761>>24) ^ byte(i) }

func stretch(from, n uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = place(from + uint32(i))
	}
	return b
}

// follower checks each byte against its place, and notes what it got.
type follower struct {
	t     rapid.TB
	at    [2]uint32
	first [2]uint32 // the number of the stream's first byte
	got   [2]map[uint32]bool
	ended int
}

func (f *follower) Data(d Direction, lost uint32, b []byte) bool {
	f.at[d] += lost
	for _, c := range b {
		if c != place(f.at[d]) {
			f.t.Fatalf("%v: byte %d is %x, want %x", d, f.at[d], c, place(f.at[d]))
		}
		f.got[d][f.at[d]] = true
		f.at[d]++
	}
	return true
}

func (f *follower) Closed(End) { f.ended++ }

// However a stream is cut up, shuffled, repeated and thinned out: each byte is handed on once, at its place, if it came in time; where
// all came and all found room, all are.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Bool().Draw(t, "small")
		cfg := Config{}
		if small {
			cfg = Config{Bytes: 6 * pageBytes, Each: rapid.IntRange(1, 6).Draw(t, "pages") * pageBytes}
		}
		f := &follower{t: t, got: [2]map[uint32]bool{{}, {}}}
		a := New(cfg, func(Conn) Reader { return f })
		var loses bool
		sent := [2]map[uint32]bool{{}, {}}
		var size [2]uint32
		for d := range 2 {
			f.first[d] = rapid.Uint32().Draw(t, "first")
			size[d] = rapid.Uint32Range(0, 5000).Draw(t, "size")
			bare(a, d == 1, wire.SYN|wire.TCPFlags(d)*wire.ACK, f.first[d]-1, nil)
		}
		todo := segments(t, size)
		for _, s := range todo {
			if rapid.IntRange(0, 19).Draw(t, "lose") == 0 {
				loses = true
				continue
			}
			for i := range s.n {
				sent[s.d][s.from+i] = true
			}
			bare(a, s.d == 1, wire.ACK, f.first[s.d]+s.from, stretch(s.from, s.n))
		}
		for d := range 2 {
			bare(a, d == 1, wire.FIN|wire.ACK, f.first[d]+size[d], nil)
		}
		for i := range time.Duration(7) { // a gap each minute, and in the end it is idle
			a.Tick(int64(i * time.Minute))
		}
		st := a.Stats()
		if !st.Conserved() || st.Waiting != 0 || st.Strays != 0 || st.Conflicts != 0 || f.ended != 1 {
			t.Fatalf("%+v, ended %d times", st, f.ended)
		}
		if st.Delivered != uint64(len(f.got[0])+len(f.got[1])) {
			t.Fatalf("%d bytes delivered, %d of them different", st.Delivered, len(f.got[0])+len(f.got[1]))
		}
		for d := range 2 {
			if !small && len(f.got[d]) != len(sent[d]) || !small && !loses && uint32(len(f.got[d])) != size[d] {
				t.Fatalf("direction %d: %d of %d bytes, %d were sent", d, len(f.got[d]), size[d], len(sent[d]))
			}
			for i := range f.got[d] {
				if !sent[d][i] {
					t.Fatalf("byte %d was never sent", i)
				}
			}
		}
	})
}

type piece struct {
	d       int
	from, n uint32
}

// segments covers both streams, with repetitions and overlaps, and shuffles the result a little.
func segments(t *rapid.T, size [2]uint32) (all []piece) {
	for d := range 2 {
		for at := uint32(0); at < size[d]; {
			n := min(rapid.Uint32Range(1, 700).Draw(t, "length"), size[d]-at)
			all = append(all, piece{d, at, n})
			if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
				from := at - min(at, rapid.Uint32Range(0, 900).Draw(t, "back"))
				all = append(all, piece{d, from, min(rapid.Uint32Range(1, 2000).Draw(t, "length again"), size[d]-from)})
			}
			at += n
		}
	}
	for i := range all {
		if j := i + rapid.IntRange(0, 6).Draw(t, "swap"); j < len(all) {
			all[i], all[j] = all[j], all[i]
		}
	}
	return all
}

// bare adds a segment without right checksums.
func bare(a *Assembler, back bool, flags wire.TCPFlags, seq uint32, payload []byte) {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[8], b[9], b[32], b[33] = 0x45, 64, wire.ProtoTCP, 5<<4, byte(flags)
	b[15], b[19] = 1, 2
	if back {
		b[15], b[19] = 2, 1
	}
	binary.BigEndian.PutUint32(b[24:], seq)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	var h wire.Headers
	wire.Parse(b, &h)
	a.Add(b, &h, 0)
}

// Hostile input: whatever comes, the books add up, memory is bounded, and it ends.
func FuzzAdd(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 0, 1, 0x10, 5, 0, 0, 9, 3, 0x11, 7, 1, 0, 5, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 5
		var closed, opened int
		a := New(Config{Conns: 3, Bytes: most * pageBytes, Each: 3 * pageBytes}, func(Conn) Reader {
			opened++
			return counter{&closed}
		})
		r := rand.New(rand.NewPCG(1, 2))
		for ; len(in) >= 6; in = in[6:] {
			b := make([]byte, 40+int(in[5])*9)
			for i := range b[40:] {
				b[40+i] = byte(r.Uint32())
			}
			b[0], b[9], b[32], b[33] = 0x45, wire.ProtoTCP, 5<<4, in[1]
			b[15], b[19] = in[0]>>4&3, in[0]&3
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)+int(in[0]>>6)))
			binary.BigEndian.PutUint32(b[24:], uint32(in[2])<<24|uint32(in[3])<<8|uint32(in[4]))
			var h wire.Headers
			wire.Parse(b, &h)
			a.Add(b, &h, int64(in[4])*int64(time.Second))
			if in[1] == 0 {
				a.Tick(int64(in[4]) * int64(time.Second))
			}
			if s := a.Stats(); !s.Conserved() || s.Waiting > most*pageBytes || s.Conns > 3 {
				t.Fatalf("%+v", s)
			}
		}
		a.Close()
		if s := a.Stats(); !s.Conserved() || s.Waiting != 0 || s.Conns != 0 || closed != opened {
			t.Fatalf("%+v, %d opened, %d closed", s, opened, closed)
		}
		free := a.pages.left
		for p := a.pages.free; p != nil; p = p.next {
			free++
		}
		if free != most {
			t.Fatalf("%d pages of %d", free, most)
		}
	})
}

type counter struct{ closed *int }

func (counter) Data(Direction, uint32, []byte) bool { return true }

func (c counter) Closed(End) { *c.closed++ }
