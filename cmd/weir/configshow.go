package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirnet/weir/processor/callouts"
	"github.com/weirnet/weir/processor/policy"
)

// shownConfig is what `weir config show --json` prints.
type shownConfig struct {
	Policy   string           `json:"policy"`
	Files    []string         `json:"files"` // that were read, the policy first
	Settings []policy.Setting `json:"settings"`
}

func newConfigShow() *cobra.Command {
	var f runFlags
	var effective bool
	cmd := &cobra.Command{
		Use:   "show POLICY",
		Short: "Show the settings of a policy, with the origin of each",
		Long: `Shows what 'weir run' with the same policy, flags and variables would use, a line for each value: its key, the value, and where it
comes from: FILE:LINE:COLUMN, an included file, a flag, or a variable. With --effective also what is not given, with its default.
Nothing is opened.

Each flag of 'weir run' can be given by a variable: WEIR_ and its name, with _ for -, as in WEIR_LOG_LEVEL=debug. Flags override
variables, and both override the policy.`,
		Example: `  weir config show policy.yaml
  weir config show policy.yaml --effective
  WEIR_LOG_LEVEL=debug weir config show policy.yaml --effective --seed 7 --json | jq '.settings[] | select(.origin.kind != "default")'`,
		Args:              take(1, "the policy file"),
		ValidArgsFunction: completePolicy,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			from, err := fromEnvironment(cmd.Flags())
			if err != nil {
				return wrong(err)
			}
			shown, err := f.shown(cmd, args[0], from, effective)
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), shown)
			}
			return shown.print(cmd.OutOrStdout())
		}),
	}
	f.define(cmd.Flags())
	f.complete(cmd)
	cmd.Flags().Lookup("json").Usage = "print one JSON object"
	cmd.Flags().BoolVar(&effective, "effective", false, "also what is not given, with its default")
	return cmd
}

// notSettings are flags that say what to do once, not how.
var notSettings = []string{"help", "json", "dry-run", "effective"}

// ofDriver are the flags that override a key of the policy's driver section.
var ofDriver = map[string]string{
	"driver": "driver.backend", "read": "driver.read", "write": "driver.write", "local": "driver.local", "packets": "driver.packets", "seed": "driver.seed",
}

// shown lists the settings; from says by which variable a flag was set.
func (f *runFlags) shown(cmd *cobra.Command, path string, from map[string]string, effective bool) (*shownConfig, error) {
	j, err := f.job(cmd, path, callouts.Factories())
	if err != nil {
		return nil, err
	}
	if j.file == nil {
		return nil, wrongf("%q is a filter, and has no settings; name a policy file", path)
	}
	s := &shownConfig{Policy: path, Files: j.file.Files, Settings: j.file.Settings()}
	if j.plan.Driver.Backend != j.file.Driver.Backend {
		s.drop("driver.") // of another backend than the one that runs
		origin := policy.Origin{Kind: policy.FromDefault}
		if f.in != "" {
			origin = policy.Origin{Kind: policy.FromFlag, Name: "--read"} // which implies pcap
		}
		s.set(policy.Setting{Key: "driver.backend", Value: j.plan.Driver.Backend, Origin: origin})
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { s.overlay(flag, from[flag.Name]) })
	if !effective {
		s.Settings = slices.DeleteFunc(s.Settings, func(one policy.Setting) bool {
			return one.Origin.Kind == policy.FromDefault || one.Origin.Kind == policy.FromFilters
		})
	}
	return s, nil
}

// overlay puts a flag over the settings: over its key of the policy, or as a setting of its own.
func (s *shownConfig) overlay(flag *pflag.Flag, variable string) {
	if slices.Contains(notSettings, flag.Name) || flag.Hidden {
		return
	}
	key, overrides := ofDriver[flag.Name]
	if overrides && !flag.Changed {
		return
	}
	if !overrides {
		key = "run." + flag.Name
	}
	one := policy.Setting{Key: key, Value: flagText(flag), Origin: policy.Origin{Kind: policy.FromDefault}}
	switch {
	case variable != "":
		one.Origin = policy.Origin{Kind: policy.FromEnvironment, Name: variable}
	case flag.Changed:
		one.Origin = policy.Origin{Kind: policy.FromFlag, Name: "--" + flag.Name}
	}
	s.set(one)
}

// flagText is the value of a flag without the brackets of a list.
func flagText(flag *pflag.Flag) string {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ", ")
	}
	return flag.Value.String()
}

// set replaces the setting of that key, or adds it behind those of its section.
func (s *shownConfig) set(one policy.Setting) {
	section, _, _ := strings.Cut(one.Key, ".")
	at := 0
	for i, old := range s.Settings {
		if old.Key == one.Key {
			s.Settings[i] = one
			return
		}
		if strings.HasPrefix(old.Key, section+".") {
			at = i + 1
		}
	}
	if at == 0 && section == "run" {
		at = len(s.Settings)
	}
	s.Settings = slices.Insert(s.Settings, at, one)
}

func (s *shownConfig) drop(prefix string) {
	s.Settings = slices.DeleteFunc(s.Settings, func(one policy.Setting) bool { return strings.HasPrefix(one.Key, prefix) })
}

func (s *shownConfig) print(w io.Writer) error {
	g := newGrid("setting", "value", "from")
	for _, one := range s.Settings {
		value := oneLine(one.Value)
		if value == "" {
			value = `""`
		}
		g.add(one.Key, value, one.Origin)
	}
	if len(g.rows) == 0 {
		_, err := fmt.Fprintln(w, "nothing is given: all is by default; see --effective")
		return err
	}
	g.print(w)
	return nil
}
