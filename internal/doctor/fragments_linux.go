package doctor

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Of linux/netfilter/nfnetlink_hook.h.
const (
	hookGet      = 12 << 8 // NFNL_SUBSYS_HOOK, NFNL_MSG_HOOK_GET
	hookNumber   = 1       // NFNLA_HOOK_HOOKNUM, big-endian
	hookFunction = 4       // NFNLA_HOOK_FUNCTION_NAME
	prerouting   = 0       // NF_INET_PRE_ROUTING
	generalLen   = 4       // of struct nfgenmsg
)

// fragments says whether the kernel joins fragments before the hooks, which connection tracking makes it do for as long as a rule of
// this namespace needs it. It decides what handles see.
func fragments() []Finding {
	var joined []string
	for _, f := range []struct {
		family uint8
		name   string
	}{{unix.AF_INET, "IPv4"}, {unix.AF_INET6, "IPv6"}} {
		functions, err := hookFunctions(f.family)
		if err != nil { // no CONFIG_NETFILTER_NETLINK_HOOK, or no right to
			return []Finding{tracking(os.ReadFile(proc + "/thread-self/net/stat/nf_conntrack"))}
		}
		if slices.ContainsFunc(functions, func(s string) bool { return strings.Contains(s, "defrag") }) {
			joined = append(joined, f.name)
		}
	}
	return []Finding{joinedFinding(joined)}
}

const (
	joinedName = "joined by connection tracking"
	joinedYes  = "forward handles see whole packets; what is for this host is whole either way"
	joinedNo   = "forward handles see fragments as they come; what is for this host is whole either way"
)

func joinedFinding(joined []string) Finding {
	if len(joined) == 0 {
		return Finding{Name: joinedName, State: Info, Detail: "no: " + joinedNo}
	}
	return Finding{Name: joinedName, State: Info, Detail: strings.Join(joined, " and ") + ": " + joinedYes}
}

// tracking guesses by the table of connections, whose size is the first number of each row below the heading.
func tracking(table []byte, err error) Finding {
	f := Finding{Name: joinedName, State: Info}
	rows := strings.Split(string(table), "\n")
	switch {
	case err != nil:
		f.Detail = "cannot be told here"
	case len(rows) > 1 && strings.Trim(strings.SplitN(rows[1], " ", 2)[0], "0") != "":
		f.Detail = "probably, since connections are tracked: " + joinedYes
	default:
		f.Detail = "probably not, since no connection is tracked: " + joinedNo
	}
	return f
}

// hookFunctions names the kernel functions at a family's prerouting hook (Linux 5.14).
func hookFunctions(family uint8) (names []string, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, -1)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	body := netlink.Attrs{family, 0, 0, 0}
	body.BE32(hookNumber, prerouting)
	err = conn.Query(netlink.Message{Type: hookGet, Flags: unix.NLM_F_DUMP, Body: body}, func(m netlink.Message) error {
		if len(m.Body) < generalLen {
			return errors.New("a short answer about hooks")
		}
		return netlink.Each(m.Body[generalLen:], func(typ uint16, v []byte) error {
			if typ == hookFunction {
				names = append(names, netlink.Text(v))
			}
			return nil
		})
	})
	if errors.Is(err, unix.ENOENT) { // nobody is at this hook
		return nil, nil
	}
	return names, err
}
