package windrv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
	"github.com/weirnet/weir/divertdrv/wire"
)

// What .ci/wine tells the test: the program that runs others under Wine, the folder of its drive C:, and there weir.exe.
const (
	wineVariable  = "WEIR_STANDIN_WINE"
	driveVariable = "WEIR_STANDIN_DRIVE"
	weirExe       = `C:\weir\weir.exe`
)

const policyText = `version: 1
driver: {backend: windivert}
handles:
  - {layer: network, filter: "true"}
filters:
  - {name: no-telnet, layer: outbound-transport, weight: 30, when: "udp.DstPort == 23", action: block}
  - {name: few-hops, layer: outbound-transport, weight: 20, when: "udp.DstPort == 5353", action: callout, callout: shorten}
  - {name: no-echo, layer: outbound-transport, weight: 10, when: "udp.DstPort == 7", action: callout, callout: refuse}
callouts:
  - {name: shorten, type: rewrite, config: {ttl: 7}}
  - {name: refuse, type: reject, config: {rate: 1000000}}
`

const (
	packets  = 10000
	waveSize = 100
	row      = waveSize / 5 // packets of one fate, one after the other
	patience = time.Minute
)

// fates are the destination ports of the rows of a wave; the last one passes, so that it tells that the others are done.
var fates = []uint16{passPort, 23, 5353, 7, passPort}

// 10,000 packets through the program itself: what passes, is blocked, rewritten, and answered is right to the byte, and nothing is
// lost.
func TestWeir(t *testing.T) {
	wine, drive := os.Getenv(wineVariable), os.Getenv(driveVariable)
	if wine == "" {
		t.Skip("needs the stand-in driver under Wine: bash .ci/wine")
	}
	world := simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces()})
	s, err := standin.Listen(world.Driver, filepath.Join(drive, standin.PortFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	policy := filepath.Join(drive, "weir", "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, wine, weirExe, "run", `C:\weir\policy.yaml`, "--json", "-n", "10000")
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := exchange{t: t, network: world.Network, want: map[uint32][]byte{}}
	e.until("weir.exe opens its handle", func() bool { return s.Asked(standin.Startup) >= 2 }) // one is divert-go's
	for sent := 0; sent < packets; sent += waveSize {
		e.wave(uint32(sent))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("weir.exe: %v\n%s", err, log.Bytes())
	}
	e.check()
	checkResult(t, out.Bytes())
}

// exchange is what was sent and what must come out.
type exchange struct {
	t       *testing.T
	network drvtest.Network
	want    map[uint32][]byte // by number: packets that must still leave
	answers int               // ICMP errors that reached the host
	last    uint32            // the number that left last
}

func (e *exchange) until(what string, done func() bool) {
	e.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// wave sends packets, and waits for the last of them, and for the answers.
func (e *exchange) wave(first uint32) {
	for n := first; n < first+waveSize; n++ {
		port := fates[n/row%uint32(len(fates))]
		sent := datagram(n, port)
		switch port {
		case passPort:
			e.want[n] = sent
		case 5353:
			rewritten := bytes.Clone(sent)
			rewritten[8] = 7
			wire.CalcChecksums(rewritten, 0)
			e.want[n] = rewritten
		}
		way := drvtest.Outbound
		if port == passPort && n%2 == 0 {
			way = drvtest.Inbound
			turn(sent)
			e.want[n] = sent
		}
		if err := e.network.Send(way, sent); err != nil {
			e.t.Fatal(err)
		}
	}
	e.until("the last of a wave leaves", func() bool {
		e.gather()
		return e.last == first+waveSize-1 && e.answers == int(first/waveSize+1)*row
	})
}

// gather compares what left with what must.
func (e *exchange) gather() {
	for _, a := range e.network.Left() {
		if a.Data[9] == wire.ProtoICMP {
			e.answers++
			e.checkAnswer(a)
			continue
		}
		n := binary.BigEndian.Uint32(a.Data[numberOff:])
		e.last = n
		if want, ok := e.want[n]; !ok || !bytes.Equal(a.Data, want) {
			e.t.Errorf("packet %d left as\n%x, want\n%x", n, a.Data, want)
		}
		delete(e.want, n)
	}
}

// checkAnswer looks at an ICMP error: to the host, sound, and about a packet of the port that is refused.
func (e *exchange) checkAnswer(a drvtest.Arrival) {
	var h wire.Headers
	if !wire.Parse(a.Data, &h) || !a.AtHost || a.Data[h.TransportOff] != 3 {
		e.t.Errorf("no answer to the host: at the host %v, %x", a.AtHost, a.Data)
		return
	}
	ip, icmp := wire.Verify(a.Data, &h)
	quoted := a.Data[h.TransportOff+8:]
	if port := binary.BigEndian.Uint16(quoted[wire.IPv4HeaderLen+2:]); ip == wire.SumBad || icmp == wire.SumBad || port != 7 {
		e.t.Errorf("checksums %v and %v of an answer about port %d: %x", ip, icmp, port, a.Data)
	}
}

func (e *exchange) check() {
	e.t.Helper()
	e.gather()
	if len(e.want) != 0 || e.answers != packets/len(fates) {
		e.t.Errorf("%d packets did not leave, and %d answers came of %d", len(e.want), e.answers, packets/len(fates))
	}
}

// checkResult looks at the program's own books.
func checkResult(t *testing.T, out []byte) {
	t.Helper()
	var r struct {
		Received, Passed, Dropped, Held, Injected, Completed, Failed, Lost uint64
		DroppedBy                                                          map[string]uint64 `json:"dropped_by"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const share = packets / 5
	if r.Received != packets || r.Passed != 3*share || r.Dropped != 2*share || r.DroppedBy["filter"] != share || r.DroppedBy["rejected"] != share ||
		r.Injected != share || r.Completed != share || r.Failed+r.Held+r.Lost != 0 {
		t.Errorf("weir.exe counted %+v", r)
	}
}

// turn has a packet come from the peer.
func turn(b []byte) {
	for i := range 4 {
		b[12+i], b[16+i] = b[16+i], b[12+i]
	}
}
