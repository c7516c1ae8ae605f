package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

type policyExplainFlags struct {
	capture string
	local   []string
	allow   []string
	nth     int
	asJSON  bool
}

// policyExplained is a packet, as `weir explain --json` prints it.
type policyExplained struct {
	Number int `json:"number"` // in the capture or on the command line, from 1
	*processor.Explanation
}

func newExplain() *cobra.Command {
	var f policyExplainFlags
	cmd := &cobra.Command{
		Use:     "explain POLICY [PACKET…]",
		GroupID: groupText,
		Short:   "Say why a policy passes a packet or not",
		Long: `Shows every layer that a packet visits, and there each sublayer and filter that is asked, what the packet has in the fields
that are tested, what callouts say, the right to change the action before and after, and who decides. It is the engine of
'weir run' that answers; callouts run, and what they inject goes nowhere.

The packets are those of a capture (-r; one of them with --packet), or described in words. What a packet means depends on its
flow, so packets are taken in order, and with --packet those before it are still judged. In words a packet is

  [out|in|loopback|forward] tcp|udp|ping SRC > DST [syn ack fin rst psh urg] [ttl N] [seq N] [len N]

outbound unless it says otherwise. With --json it prints one JSON object on each line.`,
		Example: `  weir explain policy.yaml 'tcp 10.0.0.1:5000 > 1.2.3.4:443 syn'
  weir explain policy.yaml 'out udp 10.0.0.1:5000 > 1.2.3.4:53' 'in udp 1.2.3.4:53 > 10.0.0.1:5000'
  weir explain policy.yaml -r capture.pcapng --packet 17`,
		ValidArgsFunction: completePolicy,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("the policy file is missing")
			}
			return nil
		},
		RunE: does(func(cmd *cobra.Command, args []string) error { return f.explain(cmd.OutOrStdout(), args[0], args[1:]) }),
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.capture, "read", "r", "", "`capture` file (pcap, pcapng, either with gzip)")
	localFlag(flags, &f.local)
	flags.IntVar(&f.nth, "packet", 0, "with -r: only this IP packet, by its `number` from 1; 0: all")
	allowWriteFlag(flags, &f.allow)
	completeFiles(cmd, "read", captureEndings...)
	completeDirs(cmd, "allow-write")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object on each line")
	return cmd
}

func (f *policyExplainFlags) explain(to io.Writer, path string, words []string) (err error) {
	switch {
	case f.nth < 0 || f.nth > 0 && f.capture == "":
		return wrongf("--packet %d: want a number from 1, with -r", f.nth)
	case f.capture == "" && len(words) == 0:
		return wrongf("nothing to explain: give -r CAPTURE, or a packet in words: %s", packetGrammar)
	case f.capture != "" && len(words) > 0:
		return wrongf("%q: a packet in words does not go with -r", words[0])
	}
	file, err := loadPolicy(path, f.allow)
	if err != nil {
		return wrong(err)
	}
	x, err := processor.NewExplainer(file.Policy)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	defer func() { err = errors.Join(err, w.Flush(), x.Close()) }()
	if f.capture != "" {
		return f.packets(w, x)
	}
	for i, text := range words {
		p, err := packetOf(text)
		if err != nil {
			return wrong(err)
		}
		if err := f.write(w, policyExplained{i + 1, x.Explain(p)}); err != nil {
			return err
		}
	}
	return nil
}

func (f *policyExplainFlags) packets(w io.Writer, x *processor.Explainer) error {
	n := 0
	err := eachPacket(f.capture, f.local, func(p *divertdrv.Packet) error {
		p = p.Clone() // callouts may change it
		if n++; f.nth != 0 && n != f.nth {
			x.Feed(p)
			return nil
		}
		if err := f.write(w, policyExplained{n, x.Explain(p)}); err != nil || n != f.nth {
			return err
		}
		return errEnough
	})
	if err == nil && n < f.nth {
		err = wrongf("--packet %d: the capture has %s", f.nth, plural(n, "IP packet"))
	}
	return err
}

func (f *policyExplainFlags) write(w io.Writer, e policyExplained) error {
	if f.asJSON {
		line, err := jsonLine(e)
		if err == nil {
			_, err = io.WriteString(w, line+"\n")
		}
		return err
	}
	if e.Number > 1 && f.nth == 0 {
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "packet %d: %s", e.Number, e.Explanation)
	return err
}
