package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help texts are what people read first, so a change of one is to be seen.
func TestHelp(t *testing.T) {
	for _, words := range commands(newRoot(), nil) {
		name := strings.Join(append([]string{"weir"}, words...), "-")
		t.Run(name, func(t *testing.T) {
			o := weir(t, "", append(words, "--help")...)
			if o.status != exitDone || o.err != "" {
				t.Fatalf("status %d, %q", o.status, o.err)
			}
			golden(t, "help/"+name+".txt", o.out)
		})
	}
}

// commands returns the words of every command that is ours.
func commands(cmd *cobra.Command, words []string) [][]string {
	all := [][]string{words}
	for _, sub := range cmd.Commands() {
		if sub.Name() == "help" || sub.Name() == "completion" || sub.Hidden {
			continue
		}
		all = append(all, commands(sub, append(words[:len(words):len(words)], sub.Name()))...)
	}
	return all
}

// Every command says what it is for, how it is used, and where it belongs.
func TestHelpIsWhole(t *testing.T) {
	for _, words := range commands(newRoot(), nil) {
		cmd, _, err := newRoot().Find(words)
		if err != nil {
			t.Fatal(err)
		}
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%v: a part of the help is missing", cmd.CommandPath())
		}
		if len(words) == 1 && cmd.GroupID == "" {
			t.Errorf("%v is in no group", cmd.CommandPath())
		}
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			if len(line) > 140 {
				t.Errorf("%v: a line of %d characters: %s", cmd.CommandPath(), len(line), line)
			}
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		want string
	}{
		"unknown command":      {"rum", `unknown command "rum"`},
		"unknown subcommand":   {"filter evaluate", `unknown command "evaluate" for "weir filter"`},
		"near subcommand":      {"filter comple", "did you mean compile?"},
		"unknown flag":         {"run true --packet 3", "unknown flag: --packet"},
		"no argument":          {"run", "the policy file or filter is missing"},
		"too many arguments":   {"run tcp and", `"and" is one argument too many`},
		"bad number":           {"run true -n many", "invalid argument"},
		"bad filter":           {"run tcp.DstPrt==1", "did you mean tcp.DstPort?"},
		"no such policy":       {"run nothing.yaml", "no such file"},
		"unknown driver":       {"run true --driver ebpf", "want one of auto, windivert, nfqueue, sim, pcap"},
		"pcap without capture": {"run true --driver pcap", "name one with -r"},
		"flag of the other":    {"run true -r x.pcap --packets 3", "--packets goes with driver sim"},
		"read live":            {"run true --driver nfqueue -r x.pcap", "--read goes with driver pcap"},
		"local with sim":       {"run true --local 10.0.0.1", "--local goes with driver pcap"},
		"bad local":            {"run true -r x.pcap --local host", `"host" is no address`},
		"negative packets":     {"run true --packets -3", "want 0 (without end) or more"},
		"negative time":        {"run true --timeout -3s", "want a time of 0 or more"},
		"bad level":            {"run true --log-level loud", "want one of debug, info, warn, error"},
		"bad format":           {"run true --log-format xml", "want one of console, json"},
		"read is write":        {"run true -r " + captures + "nano.pcap -w " + captures + "nano.pcap", "write to another file"},
		"bad layer":            {"filter compile --layer link tcp", `unknown layer "link"`},
		"nothing to evaluate":  {"filter eval tcp", "nothing to evaluate"},
		"batch and filter":     {"filter eval --batch tcp", "unknown command"},
		"batch and layer":      {"filter compile --batch --layer flow", "none of the others can be"},
		"bad hex":              {"filter eval tcp --packet 4x", "--packet: "},
		"short address":        {"filter eval tcp --address 00", "--address: "},
		"capture and layer":    {"filter eval --layer flow tcp -r x.pcap", "the filter is for layer flow"},
	} {
		t.Run(name, func(t *testing.T) {
			o := weir(t, "", strings.Fields(c.args)...)
			if o.status != exitUsage || o.out != "" || !strings.Contains(o.err, c.want) {
				t.Errorf("status %d, stdout %q, stderr %q; want status 2 and %q", o.status, o.out, o.err, c.want)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	for name, c := range map[string]struct{ args, want string }{
		"no capture":      {"run true -r nothing.pcap", "nothing.pcap: no such file"},
		"foreign capture": {"run true -r root_test.go", "not a capture"},
		"not yet":         {"run true --driver windivert", "this version does not have it yet; there are sim"},
		"no place":        {"run true -w nothing/out.pcapng", "no such file"},
		"eval no capture": {"filter eval tcp -r nothing.pcap", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			o := weir(t, "", strings.Fields(c.args)...)
			if o.status != exitFailed || o.out != "" || !strings.Contains(o.err, c.want) {
				t.Errorf("status %d, stdout %q, stderr %q; want status 1 and %q", o.status, o.out, o.err, c.want)
			}
		})
	}
}
