package mutants

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// opening is an open with other words.
func opening(change func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter) func(
	*twisted, *divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		changed := *o
		f = change(f, &l, &changed)
		return d.Driver.Open(f, l, &changed)
	}
}

// flagged opens with other flags.
func flagged(change func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags) func(
	*twisted, *divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return opening(func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		o.Flags = change(*l, o.Flags)
		return f
	})
}

// strip opens handles at NETWORK without a flag.
func strip(flag divertdrv.Flags) twist {
	return twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.Network {
			f &^= flag
		}
		return f
	})}
}

var openMutants = []mutant{
	{name: "every packet matches", breaks: []string{"filter/directions", "filter/false-takes-nothing", "filter/matches", "filter/the-rest-passes", "priority/no-match-goes-on"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network {
			return as(f, *l, "")
		}
		return f
	})}},
	{name: "every event matches", breaks: []string{"reflect/filter", "socket/filter"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l > divertdrv.NetworkForward {
			return as(f, *l, "")
		}
		return f
	})}},
	{name: "inbound is not seen", breaks: []string{"filter/directions"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network {
			return as(f, *l, "outbound")
		}
		return f
	})}},
	{name: "loopback is not seen", breaks: []string{"filter/loopback"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network {
			return as(f, *l, "not loopback")
		}
		return f
	})}},
	{name: "inbound IPv6 is not seen", breaks: []string{"filter/directions"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network {
			return as(f, *l, "(outbound or ip)")
		}
		return f
	})}},
	{name: "the forward layer is the network layer", breaks: []string{"priority/layers-are-apart"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		if l == divertdrv.NetworkForward {
			l = divertdrv.Network
		}
		return d.Driver.Open(f, l, o)
	}}},
	{name: "nothing is seen at FORWARD", breaks: []string{
		"forward/priority-higher-first", "forward/priority-equal-newest-first", "forward/priority-a-drop-ends-it",
		"forward/sniff-only-copies-say-so", "forward/sniff-several", "forward/drop-all-drops", "forward/drop-all-is-counted",
		"forward/recv-only-cannot-pass", "forward/queue-length-sheds-the-oldest", "forward/complete-marks-by-packet",
		"forward/hold-released-in-any-order", "forward/deadline-passes-by-default", "forward/shutdown-recv-takes-nothing-more",
		"forward/shutdown-send-passes-nothing", "forward/close-unread-packets-go-to-lower-handles",
	}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.NetworkForward {
			return as(f, *l, "false")
		}
		return f
	})}},
	{name: "flags are for NETWORK only", breaks: []string{
		"forward/sniff-only-copies-say-so", "forward/sniff-several", "forward/drop-all-is-counted", "forward/recv-only-cannot-pass",
		"forward/send-only-takes-nothing",
	}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.NetworkForward {
			return 0
		}
		return f
	})}},
	{name: "all priorities are one at FORWARD", breaks: []string{"forward/priority-higher-first"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.NetworkForward {
			o.Priority = 0
		}
		return f
	})}},
	{name: "a refusal does not say whose", breaks: []string{"open/refusals-have-a-name"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		c, err := d.Driver.Open(f, l, o)
		if err != nil {
			err = &divertdrv.OpError{Op: "open", Layer: l, Err: divertdrv.ErrUnsupported}
		}
		return c, err
	}}},
	{name: "too many readers are a mystery", breaks: []string{"open/readers"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		if o.Readers > 2 {
			return nil, divertdrv.ErrAccess
		}
		return d.Driver.Open(f, l, o)
	}}},
	{name: "extreme priorities are refused", breaks: []string{"open/priority-bounds"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		if o.Priority == addr.PriorityHighest || o.Priority == addr.PriorityLowest {
			return nil, divertdrv.ErrInvalid
		}
		return d.Driver.Open(f, l, o)
	}}},
	{name: "a layer that is not there is an invalid one", breaks: []string{"open/layers"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		if l == divertdrv.NetworkForward {
			return nil, divertdrv.ErrInvalid
		}
		return d.Driver.Open(f, l, o)
	}}},
	{name: "Caps promise more", breaks: []string{"open/caps"}, twist: twist{caps: func(c divertdrv.Caps) divertdrv.Caps {
		c.CutThrough = true
		return c
	}}},
	{name: "Caps promise less", breaks: []string{"open/caps"}, twist: twist{caps: func(c divertdrv.Caps) divertdrv.Caps {
		c.GSO = false
		return c
	}}},
	{name: "all priorities above 1 are 1", breaks: []string{"priority/a-pass-goes-strictly-lower", "priority/an-injection-goes-strictly-lower"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network {
			o.Priority = min(o.Priority, 1)
		}
		return f
	})}},
	{name: "priorities are unsigned", breaks: []string{"priority/higher-first"}, twist: twist{open: opening(func(f *divertdrv.Filter, _ *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if o.Priority < 0 {
			o.Priority = 29999
		}
		return f
	})}},
	{name: "of equal priorities the oldest is first", breaks: []string{"priority/equal-newest-first"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		changed := *o
		if o.Priority > -100 && o.Priority < 100 {
			d.mu.Lock()
			changed.Priority = 100*o.Priority - int16(len(d.conns))
			d.mu.Unlock()
		}
		return d.Driver.Open(f, l, &changed)
	}}},
	{name: "a new handle gets what another has queued", breaks: []string{"open/sees-from-now-on"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		c, err := d.Driver.Open(f, l, o)
		d.mu.Lock()
		conns := d.conns
		d.mu.Unlock()
		if err != nil || o.Priority != 9 || len(conns) != 1 {
			return c, err
		}
		for _, pk := range conns[0].drained() {
			sendBy(d.top, pk.Addr, pk.Data)
		}
		return c, nil
	}}},
}
