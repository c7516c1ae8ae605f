package policy

import "slices"

// driver reads where packets come from. Options that belong to another backend would do nothing, so they are errors.
func (c *compiler) driver(s *placed[driverSpec]) Driver {
	if s.node == nil {
		return Driver{}
	}
	d := Driver{
		Backend: s.V.Backend, Read: relative(c.file.Name, s.V.Read.V), Write: relative(c.file.Name, s.V.Write.V),
		Packets: s.V.Packets.V, Seed: s.V.Seed.V,
		Namespace: relative(c.file.Name, s.V.Namespace.V), FailClosed: s.V.FailClosed.V, Spin: s.V.Spin.V.Duration,
	}
	for _, p := range s.V.Local.V {
		d.Local = append(d.Local, p.Prefix)
	}
	c.belongs(d.Backend, "read", s.V.Read.node, "pcap")
	c.belongs(d.Backend, "write", s.V.Write.node, "pcap", "sim", "nfqueue")
	c.belongs(d.Backend, "local", s.V.Local.node, "pcap")
	c.belongs(d.Backend, "packets", s.V.Packets.node, "sim")
	c.belongs(d.Backend, "seed", s.V.Seed.node, "sim")
	c.belongs(d.Backend, "namespace", s.V.Namespace.node, "nfqueue")
	c.belongs(d.Backend, "fail-closed", s.V.FailClosed.node, "nfqueue")
	c.belongs(d.Backend, "spin", s.V.Spin.node, "nfqueue")
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

func (c *compiler) belongs(backend, key string, n *node, owners ...string) {
	if n != nil && backend != "" && !slices.Contains(owners, backend) {
		c.at(n, "%q is an option of backend %s; remove it, or change the backend", key, oneOf(owners))
	}
}
