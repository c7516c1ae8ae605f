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
}

// The addresses of the lab. Nothing else is in its namespaces, so they collide with nothing.
var (
	clientAddr = netip.MustParseAddr("10.77.1.2")
	leftAddr   = netip.MustParseAddr("10.77.1.1")
	rightAddr  = netip.MustParseAddr("10.77.2.1")
	serverAddr = netip.MustParseAddr("10.77.2.2")
)

// The devices of the lab.
const (
	clientDev = "client0"
	leftDev   = "left0"
	rightDev  = "right0"
	serverDev = "server0"
	netBits   = 24
)

// newLab needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
func newLab() (l *lab, err error) {
	l = &lab{-1, -1, -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	for _, fd := range []*int{&l.client, &l.router, &l.server} {
		if *fd, err = newHost(); err != nil {
			return nil, err
		}
	}
	if err := cable(l.client, clientDev, clientAddr, l.router, leftDev, leftAddr); err != nil {
		return nil, err
	}
	if err := cable(l.router, rightDev, rightAddr, l.server, serverDev, serverAddr); err != nil {
		return nil, err
	}
	if err := sysctl(l.router, "ipv4/ip_forward", "1"); err != nil {
		return nil, err
	}
	for fd, via := range map[int]netip.Addr{l.client: leftAddr, l.server: rightAddr} {
		if err := links.In(fd, func(c *links.Conn) error { return c.Gateway(via) }); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// newHost makes a namespace that speaks when it is spoken to only.
func newHost() (fd int, err error) {
	if fd, err = netns.New(); err != nil {
		return -1, err
	}
	for _, s := range [][2]string{
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
		{"ipv6/conf/all/disable_ipv6", "1"},
		{"ipv6/conf/default/disable_ipv6", "1"}, // no neighbour discovery while we measure
	} {
		if err := sysctl(fd, s[0], s[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fd, err
		}
	}
	return fd, links.In(fd, func(c *links.Conn) error { return c.Up("lo") })
}

// cable joins two hosts.
func cable(a int, devA string, addrA netip.Addr, b int, devB string, addrB netip.Addr) error {
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
			_, err := c.Configure(e.dev, netip.PrefixFrom(e.addr, netBits))
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
