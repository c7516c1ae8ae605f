package proc

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	iphlpapi    = windows.NewLazySystemDLL("iphlpapi.dll")
	extendedTCP = iphlpapi.NewProc("GetExtendedTcpTable")
	extendedUDP = iphlpapi.NewProc("GetExtendedUdpTable")
)

// Classes of tables: all of TCP with owners, all of UDP with owners (iprtrmib.h).
const (
	tcpOwnerAll = 5
	udpOwner    = 1
)

type system struct{}

// Local is this system. The function closes it, and is never nil when the error is.
func Local() (System, func() error, error) { return system{}, func() error { return nil }, nil }

func (system) Sockets() (all []Socket, err error) {
	for _, t := range []struct {
		proc   *windows.LazyProc
		family uintptr
		class  uintptr
		shape  tableShape
	}{
		{extendedTCP, windows.AF_INET, tcpOwnerAll, tcp4Table},
		{extendedTCP, windows.AF_INET6, tcpOwnerAll, tcp6Table},
		{extendedUDP, windows.AF_INET, udpOwner, udp4Table},
		{extendedUDP, windows.AF_INET6, udpOwner, udp6Table},
	} {
		b, err := table(t.proc, t.family, t.class)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.proc.Name, err)
		}
		sockets, err := t.shape.read(b)
		if err != nil {
			return nil, err
		}
		all = append(all, sockets...)
	}
	return all, nil
}

// table grows its buffer until the table fits, which may have grown meanwhile.
func table(proc *windows.LazyProc, family, class uintptr) ([]byte, error) {
	if err := proc.Find(); err != nil {
		return nil, err
	}
	size := uint32(64 << 10)
	for range 10 {
		b := make([]byte, size)
		r, _, _ := proc.Call(uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0, family, class, 0)
		switch e := windows.Errno(r); e {
		case windows.NO_ERROR:
			return b, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += size / 4
		default:
			return nil, e
		}
	}
	return nil, errors.New("the table grows faster than it can be read")
}

func (system) Process(id uint32) (Process, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, id)
	if err != nil {
		return Process{}, err
	}
	defer func() { _ = windows.CloseHandle(h) }() // it was only read
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return Process{}, err
	}
	p := Process{ID: id, Start: time.Unix(0, created.Nanoseconds())}
	name := make([]uint16, windows.MAX_LONG_PATH)
	n := uint32(len(name))
	if windows.QueryFullProcessImageName(h, 0, &name[0], &n) == nil { // else not ours to see
		p.Path = windows.UTF16ToString(name[:n])
		p.Name = filepath.Base(p.Path)
	}
	return p, nil
}
