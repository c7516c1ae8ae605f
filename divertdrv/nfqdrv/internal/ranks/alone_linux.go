package ranks

import (
	"sync"

	"github.com/cilium/ebpf"
)

// alone holds the maps of a process that may not look for other processes' (no CAP_SYS_ADMIN), as long as a registry of it is
// open. They have the shared names, so a process that may look finds them.
var alone struct {
	mu    sync.Mutex // guards all below
	users int
	maps  map[string]*ebpf.Map
}

// ownMap is a reference to this process's own map with the name and shape, which is made if there is none.
func ownMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	alone.mu.Lock()
	defer alone.mu.Unlock()
	m := alone.maps[spec.Name]
	if m == nil {
		var err error
		if m, err = newMap(spec); err != nil {
			return nil, err
		}
		if alone.maps == nil {
			alone.maps = make(map[string]*ebpf.Map)
		}
		alone.maps[spec.Name] = m
	}
	return m.Clone()
}

func enterAlone() {
	alone.mu.Lock()
	defer alone.mu.Unlock()
	alone.users++
}

func leaveAlone() {
	alone.mu.Lock()
	defer alone.mu.Unlock()
	if alone.users--; alone.users > 0 {
		return
	}
	for name, m := range alone.maps {
		_ = m.Close() // it was never written by this descriptor
		delete(alone.maps, name)
	}
}
