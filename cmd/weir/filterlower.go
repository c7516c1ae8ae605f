package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
)

// lowered is what a filter becomes at one hook, as `weir filter compile --lower` prints it.
type lowered struct {
	Hook string `json:"hook"`
	lower.Result
	Instructions int `json:"instructions"`
}

// lowerFor lowers a filter for the hooks of its layer. The platform is a word of the user.
func lowerFor(platform string, prog *filter.Program) ([]lowered, error) {
	if platform != "linux" {
		return nil, wrongf("--lower %q: want linux; on other platforms the driver takes the compiled form as it is", platform)
	}
	hooks := lower.Hooks(prog.Layer())
	if len(hooks) == 0 {
		return nil, wrongf("--lower: a filter of layer %s asks for events, and no hook of the kernel has any", prog.Layer())
	}
	var list []lowered
	for _, h := range hooks {
		r, err := lower.Lower(prog, h)
		if err != nil {
			return nil, err
		}
		list = append(list, lowered{h.Name, *r, r.Size()})
	}
	return list, nil
}

// printLowered says for each hook what the kernel decides there, and which tests are left to user space.
func printLowered(to io.Writer, list []lowered) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for i := range list {
		l := &list[i]
		fmt.Fprintf(w, "%s\t%s\n", l.Hook, l.says())
		for _, test := range l.Left {
			fmt.Fprintf(w, "\tin user space: test %d, %s: %s\n", test.Test, test.Text, test.Why)
		}
	}
	return w.Flush()
}

func (l *lowered) says() string {
	switch {
	case l.Never:
		return "no packet matches"
	case l.Always && l.Exact:
		return "every packet matches"
	case l.Always:
		return "the kernel passes every packet on"
	case l.Exact:
		return "the kernel decides, " + plural(l.Instructions, "instruction")
	}
	return "the kernel decides in part, " + plural(l.Instructions, "instruction")
}
