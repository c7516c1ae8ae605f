package policy

// driver reads where packets come from. Options that belong to another backend would do nothing, so they are errors.
func (c *compiler) driver(s *placed[driverSpec]) Driver {
	if s.node == nil {
		return Driver{}
	}
	d := Driver{
		Backend: s.V.Backend, Read: relative(c.file.Name, s.V.Read.V), Write: relative(c.file.Name, s.V.Write.V),
		Packets: s.V.Packets.V, Seed: s.V.Seed.V,
	}
	for _, p := range s.V.Local.V {
		d.Local = append(d.Local, p.Prefix)
	}
	c.belongs(d.Backend, "pcap", "read", s.V.Read.node)
	c.belongs(d.Backend, "pcap", "write", s.V.Write.node)
	c.belongs(d.Backend, "pcap", "local", s.V.Local.node)
	c.belongs(d.Backend, "sim", "packets", s.V.Packets.node)
	c.belongs(d.Backend, "sim", "seed", s.V.Seed.node)
	if d.Backend == "sim" && s.V.Packets.node == nil {
		d.Packets = PacketsDefault
	}
	if d.Backend == "sim" && s.V.Seed.node == nil {
		d.Seed = SeedDefault
	}
	return d
}

func (c *compiler) belongs(backend, owner, key string, n *node) {
	if n != nil && backend != "" && backend != owner {
		c.at(n, "%q is an option of backend %s; remove it, or change the backend", key, owner)
	}
}
