package nfqueue

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/links"
	"github.com/weirnet/weir/internal/netns"
)

// lab is two hosts with a router between them. Each is a namespace, named by a descriptor only.
type lab struct {
	client, router, server int
	at                     addresses
}

// addresses are those of a lab. Nothing else is in its namespaces, so they collide with nothing.
type addresses struct {
	client, left, right, server netip.Addr
	bits                        int // of a network
}

var (
	addresses4 = addresses{
		netip.MustParseAddr("10.77.1.2"), netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.2.1"), netip.MustParseAddr("10.77.2.2"), 24,
	}
	addresses6 = addresses{
		netip.MustParseAddr("fd77:1::2"), netip.MustParseAddr("fd77:1::1"), netip.MustParseAddr("fd77:2::1"), netip.MustParseAddr("fd77:2::2"), 64,
	}
)

func (a *addresses) six() bool { return a.client.Is6() }

// The devices of the lab.
const (
	clientDev = "client0"
	leftDev   = "left0"
	rightDev  = "right0"
	serverDev = "server0"
)

// newLab needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
func newLab(at addresses) (l *lab, err error) {
	l = &lab{-1, -1, -1, at}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	for _, fd := range []*int{&l.client, &l.router, &l.server} {
		if *fd, err = newHost(at.six()); err != nil {
			return nil, err
		}
	}
	if err := l.cable(l.client, clientDev, at.client, l.router, leftDev, at.left); err != nil {
		return nil, err
	}
	if err := l.cable(l.router, rightDev, at.right, l.server, serverDev, at.server); err != nil {
		return nil, err
	}
	forwarding := "ipv4/ip_forward"
	if at.six() {
		forwarding = "ipv6/conf/all/forwarding"
	}
	if err := sysctl(l.router, forwarding, "1"); err != nil {
		return nil, err
	}
	for fd, via := range map[int]netip.Addr{l.client: at.left, l.server: at.right} {
		if err := links.In(fd, func(c *links.Conn) error { return c.Gateway(via) }); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// newHost makes a namespace that speaks when it is spoken to only.
func newHost(six bool) (fd int, err error) {
	if fd, err = netns.New(); err != nil {
		return -1, err
	}
	settings := [][2]string{{"ipv4/conf/all/rp_filter", "0"}, {"ipv4/conf/default/rp_filter", "0"}}
	if !six { // no neighbour discovery while we measure
		settings = append(settings, [2]string{"ipv6/conf/all/disable_ipv6", "1"}, [2]string{"ipv6/conf/default/disable_ipv6", "1"})
	}
	for _, s := range settings {
		if err := sysctl(fd, s[0], s[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fd, err
		}
	}
	return fd, links.In(fd, func(c *links.Conn) error { return c.Up("lo") })
}

// cable joins two hosts.
func (l *lab) cable(a int, devA string, addrA netip.Addr, b int, devB string, addrB netip.Addr) error {
	if err := links.In(a, func(c *links.Conn) error { return c.Veth(devA, devB, b) }); err != nil {
		return err
	}
	ends := []struct {
		ns   int
		dev  string
		addr netip.Addr
	}{{a, devA, addrA}, {b, devB, addrB}}
	for _, e := range ends {
		if err := links.In(e.ns, func(c *links.Conn) error { return c.Up(e.dev) }); err != nil {
			return err
		}
	}
	for _, e := range ends {
		err := links.In(e.ns, func(c *links.Conn) error {
			_, err := c.Configure(e.dev, netip.PrefixFrom(e.addr, l.at.bits))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// close lets go of the namespaces; the kernel removes them with their devices and rules.
func (l *lab) close() error {
	var errs []error
	for _, fd := range []*int{&l.client, &l.router, &l.server} {
		if *fd >= 0 {
			errs = append(errs, unix.Close(*fd))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}

func sysctl(ns int, path, value string) error {
	return netns.Do(ns, func() error {
		if err := os.WriteFile("/proc/sys/net/"+path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("sysctl: %w", err)
		}
		return nil
	})
}

// readIn reads a file of /proc or /sys as a thread in a namespace sees it.
func readIn(ns int, path string) (b []byte, err error) {
	err = netns.Do(ns, func() error {
		b, err = os.ReadFile(path)
		return err
	})
	return b, err
}
