package policy

import (
	"reflect"
	"slices"
)

// driver reads where packets come from. Options that belong to another backend would do nothing, so they are errors.
func (c *compiler) driver(s *placed[driverSpec]) Driver {
	if s.node == nil {
		return Driver{}
	}
	d := Driver{
		Backend: s.V.Backend, Read: s.V.Read.V, Write: s.V.Write.V, Packets: s.V.Packets.V, Seed: s.V.Seed.V,
		Namespace: s.V.Namespace.V, FailClosed: s.V.FailClosed.V, Spin: s.V.Spin.V.Duration,
	}
	for _, p := range s.V.Local.V {
		d.Local = append(d.Local, p.Prefix)
	}
	c.misplaced(s.node, d.Backend)
	if d.Spin > SpinMax {
		c.at(s.V.Spin.node, "spin %v is too long; want 0s to %v: it is time that a processor spends on waiting", d.Spin, SpinMax)
	}
	if d.Backend == "sim" && s.V.Packets.node == nil {
		d.Packets = PacketsDefault
	}
	if d.Backend == "sim" && s.V.Seed.node == nil {
		d.Seed = SeedDefault
	}
	return d
}

// misplaced reports keys of other backends.
func (c *compiler) misplaced(n *node, backend string) {
	fields := c.planOf(reflect.TypeFor[driverSpec]()).fields
	for _, k := range n.keys {
		if owners := fields[k.key.text].backends; len(owners) > 0 && backend != "" && !slices.Contains(owners, backend) {
			c.at(k.value, "%q is an option of backend %s; remove it, or change the backend", k.key.text, oneOf(owners))
		}
	}
}
