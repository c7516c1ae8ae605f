package nettest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/links"
	"github.com/weirnet/weir/internal/netns"
)

// commandTime bounds a program that Command runs.
const commandTime = 2 * time.Minute

// Namespace is a network namespace of one test. It ends with the test, and with the last socket and program in it.
type Namespace struct {
	t  testing.TB
	fd int
}

// NewNamespace makes a namespace with nothing but its loopback device.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	fd, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	n := &Namespace{t: t, fd: fd}
	t.Cleanup(func() { _ = unix.Close(fd) })
	for path, value := range map[string]string{
		"ipv6/conf/all/accept_dad":     "0",
		"ipv6/conf/default/accept_dad": "0",
		"ipv4/conf/all/rp_filter":      "0", // what new devices inherit differs between systems
		"ipv4/conf/default/rp_filter":  "0",
		"ipv4/ping_group_range":        "0 2147483647",
	} {
		n.Sysctl(path, value)
	}
	n.links(func(l *links.Conn) error { return l.Up("lo") })
	return n
}

// links runs f with a connection to rtnetlink; its error ends the test.
func (n *Namespace) links(f func(l *links.Conn) error) {
	n.t.Helper()
	if err := links.In(n.fd, f); err != nil {
		n.t.Fatal(err)
	}
}

// FD is a descriptor of the namespace, open until the test ends.
func (n *Namespace) FD() int { return n.fd }

// Do runs f on a thread inside the namespace. Sockets and programs that f opens stay inside; goroutines that it starts do not.
func (n *Namespace) Do(f func()) {
	if err := netns.Do(n.fd, func() error { f(); return nil }); err != nil {
		panic(err) // the namespace outlives its test's helpers
	}
}

// Start starts a program inside. The caller waits for it.
func (n *Namespace) Start(cmd *exec.Cmd) (err error) {
	n.Do(func() { err = cmd.Start() })
	return err
}

// Run runs a program inside and returns what it wrote to both outputs. It is killed after two minutes.
func (n *Namespace) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var out []byte
	var err error
	n.Do(func() { out, err = cmd.CombinedOutput() })
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return string(out), err
}

// Command is Run that ends the test when the program fails.
func (n *Namespace) Command(name string, args ...string) string {
	n.t.Helper()
	out, err := n.Run(name, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// Sysctl writes a value below /proc/sys/net, as in Sysctl("ipv4/ip_forward", "1").
func (n *Namespace) Sysctl(path, value string) {
	n.t.Helper()
	var err error
	n.Do(func() { err = os.WriteFile("/proc/sys/net/"+path, []byte(value), 0o644) })
	if err != nil {
		n.t.Fatalf("sysctl net/%s = %s: %v", path, value, err)
	}
}

// ReadSysctl reads what Sysctl writes.
func (n *Namespace) ReadSysctl(path string) string {
	n.t.Helper()
	return string(n.read("/proc/sys/net/" + path))
}

// read reads a file of /proc as a thread inside sees it.
func (n *Namespace) read(path string) (b []byte) {
	n.t.Helper()
	var err error
	n.Do(func() { b, err = os.ReadFile(path) })
	if err != nil {
		n.t.Fatal(err)
	}
	return b
}
