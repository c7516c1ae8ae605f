package doctor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A privilege is a capability that something needs.
type privilege struct {
	name  string
	bit   uint
	older bool // CAP_SYS_ADMIN includes it, as before Linux 5.8
	lack  State
	cost  string
}

var wanted = []privilege{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, false, Fail, "no queue and no rule, so nothing can be diverted"},
	{"CAP_NET_RAW", unix.CAP_NET_RAW, false, Fail, "no injection: only handles with the flag RecvOnly open"},
	{"CAP_BPF", unix.CAP_BPF, true, Fail, "no filter in the kernel, so nothing can be diverted"},
	{"CAP_PERFMON", unix.CAP_PERFMON, true, Warn, "handles with the flag Sniff may not open"},
	{
		"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, false, Warn, "no handle opens while another process has one in this network namespace, other " +
			"namespaces cannot be entered, and after a kill our device for inbound injection stays until the next start",
	},
}

// privileges looks at the effective capabilities of this process.
func privileges() []Finding {
	held, err := capabilities()
	if err != nil {
		return []Finding{{Name: "capabilities", State: Warn, Detail: err.Error()}}
	}
	return judge(held, os.Geteuid())
}

func judge(held uint64, uid int) (found []Finding) {
	for _, p := range wanted {
		f := Finding{Name: p.name, State: OK}
		has := held&(1<<p.bit) != 0
		if !has && p.older && held&(1<<unix.CAP_SYS_ADMIN) != 0 {
			f.Detail, has = "by CAP_SYS_ADMIN", true
		}
		if !has {
			f.State, f.Cost = p.lack, p.cost
			f.Detail = fmt.Sprintf("not held by user %d", uid)
			f.Remedy = "run as root, or give it: AmbientCapabilities=" + p.name + " (systemd), --cap-add " + p.name[len("CAP_"):] + " (containers)"
		}
		found = append(found, f)
	}
	return found
}

func capabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}
