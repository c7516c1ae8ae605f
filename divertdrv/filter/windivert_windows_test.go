package filter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The answers of WinDivert's own library, asked anew: .ci/wine says where it is. WEIR_SEED repeats a run.
const (
	libraryVariable = "WEIR_STANDIN_DLL"
	seedVariable    = "WEIR_SEED"
	longVariable    = "WEIR_LONG"
	libraryCases    = 100_000
	fewCases        = 10_000 // where WEIR_LONG is not set
)

// library is WinDivert.dll with what it writes to: memory that stays where it is.
type library struct {
	compile, eval, format, sums *syscall.Proc
	mem                         *libraryMemory
}

type libraryMemory struct {
	text   [1 << 14]byte
	object [1 << 14]byte
	spelt  [1 << 16]byte
	packet [1 << 10]byte
	addr   addr.Address
	why    *byte
	pos    uint32
}

func loadLibrary(t *testing.T) *library {
	path := os.Getenv(libraryVariable)
	if path == "" {
		t.Skip("needs WinDivert.dll under Wine: bash .ci/wine")
	}
	dll, err := syscall.LoadDLL(path)
	if err != nil {
		t.Fatal(err)
	}
	proc := func(name string) *syscall.Proc { return dll.MustFindProc("WinDivertHelper" + name) }
	return &library{
		compile: proc("CompileFilter"), eval: proc("EvalFilter"), format: proc("FormatFilter"), sums: proc("CalcChecksums"),
		mem: new(libraryMemory),
	}
}

// set copies a string to where the library reads it.
func (l *library) set(text string) uintptr {
	copy(l.mem.text[:], text+"\x00")
	return uintptr(unsafe.Pointer(&l.mem.text))
}

func untilNUL(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

var libraryCodes = map[string]Code{
	"Filter expression too deep":                       CodeTooDeep,
	"Filter expression too long":                       CodeTooLong,
	"Filter expression contains a bad token":           CodeBadToken,
	"Filter expression contains a bad token for layer": CodeBadTokenForLayer,
	"Filter expression parse error":                    CodeParse,
	"Filter expression array index is out-of-bounds":   CodeIndexOutOfBounds,
	"Filter object is invalid":                         CodeBadObject,
}

// object is what the library makes of a text: an object, or an error in the form of errorColumn.
func (l *library) objectOf(text string, layer addr.Layer) string {
	m := l.mem
	ok, _, _ := l.compile.Call(l.set(text), uintptr(layer), uintptr(unsafe.Pointer(&m.object)), uintptr(len(m.object)),
		uintptr(unsafe.Pointer(&m.why)), uintptr(unsafe.Pointer(&m.pos)))
	if ok != 0 {
		return untilNUL(m.object[:])
	}
	var why []byte
	for p := m.why; *p != 0; p = (*byte)(unsafe.Add(unsafe.Pointer(p), 1)) {
		why = append(why, *p)
	}
	return fmt.Sprintf("error %s %d", libraryCodes[string(why)], m.pos)
}

// formatted is a text as the library writes it.
func (l *library) formatted(text string, layer addr.Layer) string {
	ok, _, err := l.format.Call(l.set(text), uintptr(layer), uintptr(unsafe.Pointer(&l.mem.spelt)), uintptr(len(l.mem.spelt)))
	if ok == 0 {
		return fmt.Sprintf("error %d", err.(syscall.Errno))
	}
	return untilNUL(l.mem.spelt[:])
}

// matches is the library's answer to a filter that it has compiled; an error is one of the evaluation.
func (l *library) matches(text string, a *addr.Address, pkt []byte) (bool, error) {
	l.mem.addr = *a
	packet := uintptr(0)
	if a.Layer() <= addr.NetworkForward {
		copy(l.mem.packet[:], pkt)
		packet = uintptr(unsafe.Pointer(&l.mem.packet))
	}
	ok, _, err := l.eval.Call(l.set(text), packet, uintptr(len(pkt)), uintptr(unsafe.Pointer(&l.mem.addr)))
	if ok == 0 && err.(syscall.Errno) != 0 {
		return false, err
	}
	return ok != 0, nil
}

// summed is a packet with the library's checksums, which of them it says are final, and whether it was content.
func (l *library) summed(pkt []byte, flags wire.ChecksumFlags) (b []byte, done wire.Checksums, ok bool) {
	clear(l.mem.packet[:])
	copy(l.mem.packet[:], pkt)
	l.mem.addr = addr.Address{}
	r, _, _ := l.sums.Call(uintptr(unsafe.Pointer(&l.mem.packet)), uintptr(len(pkt)), uintptr(unsafe.Pointer(&l.mem.addr)), uintptr(flags))
	a := &l.mem.addr
	for sum, is := range map[wire.Checksums]bool{wire.IPSum: a.IPChecksum(), wire.TCPSum: a.TCPChecksum(), wire.UDPSum: a.UDPChecksum()} {
		if is {
			done |= sum
		}
	}
	return bytes.Clone(l.mem.packet[:len(pkt)]), done, r != 0
}

// A seed found the one with the suffix b: WinDivert's library crashed.
func TestMisplaced(t *testing.T) {
	for text, want := range map[string]bool{
		"(tcp or ? udp : ip)":            true,
		"(false >= -b ? false : true)":   true,
		"(packet ? udp : ip)":            true,
		"(packet[65535 ? udp : ip)":      true,
		"(tcp ? udp : ip)":               false,
		"tcp ? udp : ip":                 true, // not in parentheses: refused without a crash
		"(tcp or udp ? udp : ip) or tcp": false,
		"(tcp ? udp : )":                 false,
	} {
		if got := misplaced(text, addr.Network); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// found is a question that a seed found: WinDivert takes the word, which is no address, and refuses its place.
const found = "! udp.DstPort ::0:8467:c2e1:c549:7eb:400:f7:4fe8"

// TestAgainstWinDivert asks WinDivert's library and ours the same 100,000 random questions.
func TestAgainstWinDivert(t *testing.T) {
	l := loadLibrary(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	c := comparer{t: t, library: l, dice: func(n int) int { return r.IntN(n) }}
	t.Logf("%s=%d", seedVariable, seed)
	cases := fewCases
	if os.Getenv(longVariable) != "" {
		cases = libraryCases
	}
	c.filter(found, addr.NetworkForward, new(addr.Address), nil)
	for range cases {
		c.one()
		if c.bad > 20 {
			break
		}
	}
	runtime.KeepAlive(l)
	t.Logf("%d cases, %d refused, %d matched; known differences: %+v", cases, c.refused, c.matched, c.known)
	if c.matched < cases/20 || c.refused < cases/100 {
		t.Errorf("the questions are too easy")
	}
}

// differences counts those that docs/windows.md lists, with whose fault they are.
type differences struct {
	beyond     int // a TCP header that says it is longer than the packet: WinDivert sums what lies behind
	unreadable int // texts that WinDivert's FormatFilter writes and its compiler refuses
	longer     int // packet[…] and length where there are bytes behind the packet: WinDivert counts them in
	fatal      int // texts with a ? where a test or a number should stand, which are not asked: WinDivert may crash
	position   int // of a parse error
	groups     int // IPv6 addresses of 8 groups with a :: for none, or of more
}

// nineGroups finds an IPv6 address of which WinDivert reads the first eight groups.
var nineGroups = regexp.MustCompile(`([0-9a-fA-F]+:){8}[0-9a-fA-F]`)

type comparer struct {
	t       *testing.T
	library *library
	dice
	bad, refused, matched int
	known                 differences
}

func (c *comparer) errorf(format string, args ...any) {
	c.t.Helper()
	c.bad++
	c.t.Errorf(format, args...)
}

// one is one question of each kind, about one filter, address and packet.
func (c *comparer) one() {
	layer := addr.Layer(c.dice(5))
	a := c.event(layer)
	var pkt []byte
	if layer <= addr.NetworkForward {
		pkt = c.packet()
		if len(pkt) > 0 {
			a.SetIPv6(pkt[0]>>4 == 6)
		}
		c.checksums(pkt)
	}
	_, text := c.filters(layer, &a, pkt).expr(c.dice(4))
	if c.chance(10) {
		if text = c.damage(text); misplaced(text, layer) {
			c.known.fatal++
			return
		}
	}
	c.filter(text, layer, &a, pkt)
}

// misplaced finds a ? where a test or a number should stand, by the place of the error: words alone do not tell, since the lone
// suffix b is no token. WinDivert's compiler then goes on with what was in its memory, and may crash.
func misplaced(text string, layer addr.Layer) bool {
	var e *Error
	_, err := Parse(text, layer, Compat22())
	return errors.As(err, &e) && e.Pos < len(text) && strings.HasPrefix(strings.TrimLeft(text[e.Pos:], " b"), "?")
}

// damage changes a text in one place.
func (c *comparer) damage(text string) string {
	at := c.dice(len(text) + 1)
	rest := text[at:]
	if c.chance(50) && len(rest) > 0 {
		rest = rest[1:]
	}
	return text[:at] + c.junk() + rest
}

func (c *comparer) junk() string {
	return c.dice.one("", " ", "(", ")", "!", "not ", "and ", "or", "?", ":", "==", "-", "[", "]", "b", "0x", "tcp", "NETWORK", "@", ".", "1", "::")
}

func (c *comparer) filter(text string, layer addr.Layer, a *addr.Address, pkt []byte) {
	p := c.compiled(text, layer, c.library.objectOf(text, layer))
	if p == nil {
		c.refused++
		return
	}
	c.formats(p, text)
	theirs, err := c.library.matches(text, a, pkt)
	if err != nil {
		theirs = false // what is no packet
	}
	ours := p.Match(a, pkt, nil)
	var h wire.Headers
	switch {
	case ours == theirs && ours:
		c.matched++
	case ours == theirs:
	case (strings.Contains(text, "packet") || strings.Contains(text, "length")) && wire.Parse(pkt, &h) && int(h.Len) < len(pkt):
		c.known.longer++
	default:
		c.errorf("eval %q at %v of %x %x: %t, WinDivert says %t %v", text, layer, a.Bytes(), pkt, ours, theirs, err)
	}
}

// formats compares texts by what they mean: the library reads ours as the filter that it was, and we read the library's as it does
// itself. The words differ, since ours keeps every test and the library's writes as constants what the rest of the text makes so.
func (c *comparer) formats(p *Program, text string) {
	layer := p.Layer()
	ours, err := p.Format()
	if err != nil {
		c.errorf("format %q at %v: %v", text, layer, err)
		return
	}
	object, _ := p.Object()
	if got := c.library.objectOf(ours, layer); got != object {
		c.errorf("format %q at %v: %q, which WinDivert compiles to %s, want %s", text, layer, ours, got, object)
	}
	theirs := c.library.formatted(text, layer)
	want := c.library.objectOf(theirs, layer)
	if strings.HasPrefix(want, "error") {
		c.known.unreadable++
	}
	c.compiled(theirs, layer, want)
}

// compiled compares what a text is compiled to; nil: it is an error on both sides, or the sides differ.
func (c *comparer) compiled(text string, layer addr.Layer, want string) *Program {
	p, err := Parse(text, layer, Compat22())
	if err != nil {
		switch got := errorColumn(err); {
		case got == want:
		case strings.HasPrefix(got, "error parse") && strings.HasPrefix(want, "error parse") && strings.ContainsAny(text, "?b"):
			c.known.position++
		case strings.HasPrefix(got, "error bad-token ") && !strings.HasPrefix(want, "error bad-token") &&
			(strings.Contains(text, "::") || nineGroups.MatchString(text)):
			c.known.groups++
		default:
			c.errorf("compile %q at %v: %s, WinDivert says %s", text, layer, got, want)
		}
		return nil
	}
	if got, err := p.Object(); err != nil || got != want {
		c.errorf("compile %q at %v: %s %v, WinDivert says %s", text, layer, got, err, want)
		return nil
	}
	return p
}

func (c *comparer) checksums(pkt []byte) {
	flags := wire.ChecksumFlags(0)
	if c.chance(50) {
		flags = wire.ChecksumFlags(c.dice(32))
	}
	var h wire.Headers
	ours := bytes.Clone(pkt)
	want, wantDone, wantOK := c.library.summed(pkt, flags)
	done, ok := wire.CalcChecksums(ours, flags)
	done &= wire.IPSum | wire.TCPSum | wire.UDPSum // ICMP has no flag
	if wire.Parse(pkt, &h) && h.Transport == wire.TCP && int(pkt[h.TransportOff+12]>>4)*4 > int(h.Len)-int(h.TransportOff) {
		c.known.beyond++
		at := h.TransportOff + 16
		binary.BigEndian.PutUint16(want[at:], binary.BigEndian.Uint16(ours[at:]))
	}
	if !bytes.Equal(ours, want) || done != wantDone || ok != wantOK {
		c.errorf("checksums %d of %x:\n%x %v %t, WinDivert says\n%x %v %t", flags, pkt, ours, done, ok, want, wantDone, wantOK)
	}
}
