package pcapdrv

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
)

// Options say what is read, and where it is written to. In or Reader must be set, of Out and Writer at most one.
type Options struct {
	In     string    // path of the capture
	Reader io.Reader // the capture; the caller closes it, after Close. A Read that blocks is interrupted by nothing here

	Out    string    // path of the pcapng file that is made anew; empty and no Writer: what leaves is counted and gone
	Writer io.Writer // the caller closes it, after Close

	Local []netip.Prefix // addresses of the host that captured; empty: by the rule in the package comment
}

func (o *Options) check() error {
	var errs []error
	bad := func(text string) { errs = append(errs, fmt.Errorf("pcap: %w: %s", divertdrv.ErrInvalid, text)) }
	if (o.In == "") == (o.Reader == nil) {
		bad("set one of Options.In and Options.Reader: the capture to read")
	}
	if o.Out != "" && o.Writer != nil {
		bad("set one of Options.Out and Options.Writer, or none")
	}
	for _, p := range o.Local {
		if !p.IsValid() {
			bad("Options.Local has a prefix that is not valid")
		}
	}
	return errors.Join(errs...)
}
