package proc

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv/wire"
)

// The real tables, or Wine's: this process is found by its listener and its connection.
func TestLocal(t *testing.T) {
	sys, stop, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	table := New(Options{System: sys})
	defer table.Close()
	if err := table.Look(); err != nil {
		t.Fatal(err)
	}
	at := func(a net.Addr) wire.Endpoint { return wire.EndpointFrom(netip.MustParseAddrPort(a.String())) }
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Key{
		"connection": {at(c.LocalAddr()), at(c.RemoteAddr()), wire.ProtoTCP},
		"listener":   {at(l.Addr()), wire.Endpoint{Port: 1}, wire.ProtoTCP},
	} {
		p, ok := table.Owner(k)
		if name == "listener" && !ok && windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
			continue // Wine 8 gives listeners the owner 0
		}
		if !ok || p.ID != uint32(os.Getpid()) || !strings.EqualFold(p.Name, filepath.Base(exe)) || p.Start.After(time.Now()) || p.Start.IsZero() {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if at := eventTime(1<<62, time.Now()); at.After(time.Now()) {
		t.Errorf("an event of the future: %v", at)
	}
}
