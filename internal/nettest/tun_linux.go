package nettest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/links"
)

// Tun makes a tun device in a namespace for the time of the test, up and without addresses, and returns its index. It is an
// interface whose packets have no frame. The test is skipped where the system has none.
func Tun(t testing.TB, ns *Namespace) (index int) {
	t.Helper()
	const name = "tun0"
	var f *os.File
	var err error
	ns.Do(func() { f, err = os.OpenFile("/dev/net/tun", os.O_RDWR, 0) }) // the device is made where the file was opened
	if err != nil {
		Lacks(t, err)
	}
	t.Cleanup(func() { _ = f.Close() })
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, req); err != nil {
		Lacks(t, err)
	}
	ns.links(func(l *links.Conn) error {
		if err := l.Up(name); err != nil {
			return err
		}
		d, err := l.Device(name)
		index = d.Index
		return err
	})
	return index
}
