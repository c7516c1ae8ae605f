package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
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

// whereTest says where a test of a filter is asked when it is a handle's.
type whereTest struct {
	Test   int        `json:"test"` // from 1
	Text   string     `json:"text"`
	Kernel []string   `json:"kernel"`         // hooks where the kernel's program asks it, or knows the answer
	User   []whereWhy `json:"user,omitempty"` // those where it is left to user space
}

type whereWhy struct {
	Hook string `json:"hook"`
	Why  string `json:"why"`
}

// whereTests says it of all tests, for the hooks where the filter can match at all.
func whereTests(platform string, prog *filter.Program) ([]whereTest, error) {
	list, err := lowerFor(platform, prog)
	if err != nil {
		return nil, err
	}
	var where []whereTest
	for i, test := range prog.Compiled() {
		w := whereTest{Test: i + 1, Text: test.Text, Kernel: []string{}}
		for _, l := range list {
			at := slices.IndexFunc(l.Left, func(left lower.Left) bool { return left.Test == i+1 })
			switch {
			case l.Never:
			case at < 0:
				w.Kernel = append(w.Kernel, l.Hook)
			default:
				w.User = append(w.User, whereWhy{l.Hook, l.Left[at].Why})
			}
		}
		where = append(where, w)
	}
	return where, nil
}

// printWhere prints a line for each test and place.
func printWhere(to io.Writer, where []whereTest) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, t := range where {
		name := fmt.Sprintf("test %d, %s", t.Test, t.Text)
		if len(t.Kernel) > 0 {
			fmt.Fprintf(w, "%s\tin the kernel\t%s\n", name, strings.Join(t.Kernel, ", "))
			name = ""
		}
		for _, u := range t.User {
			fmt.Fprintf(w, "%s\tin user space\t%s: %s\n", name, u.Hook, u.Why)
			name = ""
		}
		if name != "" {
			fmt.Fprintf(w, "%s\tnowhere\tno packet of any hook can match\n", name)
		}
	}
	return w.Flush()
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
