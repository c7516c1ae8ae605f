package ranks

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// errBlind: this process may not look at the maps of others.
var errBlind = errors.New("ranks: looking for the BPF maps of other processes needs CAP_SYS_ADMIN")

// share returns the one map of the kernel with this name and shape, and makes it if there is none. It lives as long as anybody,
// in any process, holds it or a program that uses it.
//
// Two processes may make it at once. Both look again afterwards and take the one with the lowest id: ids grow, so whoever looks
// sees all that were made before its own, and of those that are alive the lowest is the one that earlier comers took.
func share(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	if m, err := find(spec); m != nil || err != nil {
		return m, err
	}
	made, err := newMap(spec)
	if err != nil {
		return nil, err
	}
	m, err := find(spec)
	_ = made.Close() // when it is the one that was found, m holds it
	if m == nil && err == nil {
		err = fmt.Errorf("ranks: the BPF map %s that was just made is not among the kernel's maps", spec.Name)
	}
	return m, err
}

func newMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w: ranks: making a BPF map needs CAP_BPF: %w", divertdrv.ErrAccess, err)
	}
	if err != nil {
		return nil, fmt.Errorf("ranks: make the BPF map %s: %w", spec.Name, err)
	}
	return m, nil
}

// find returns the map with the lowest id that has the name and the shape, or nil.
func find(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, unix.ENOENT) {
			return nil, nil
		}
		if errors.Is(err, unix.EPERM) {
			return nil, errBlind
		}
		if err != nil {
			return nil, fmt.Errorf("ranks: list the kernel's BPF maps: %w", err)
		}
		m, err := ebpf.NewMapFromID(next)
		switch {
		case errors.Is(err, unix.ENOENT): // gone meanwhile
		case errors.Is(err, unix.EPERM):
			return nil, errBlind
		case err != nil: // of a type that this library does not know; ours it does
		case matches(m, spec):
			return m, nil
		default:
			_ = m.Close()
		}
		id = next
	}
}

func matches(m *ebpf.Map, spec *ebpf.MapSpec) bool {
	info, err := m.Info()
	return err == nil && info.Name == spec.Name && m.Type() == spec.Type && m.KeySize() == spec.KeySize &&
		m.ValueSize() == spec.ValueSize && m.MaxEntries() == spec.MaxEntries && m.Flags() == spec.Flags
}
