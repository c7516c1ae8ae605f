package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/processor/callouts"
	"github.com/weirnet/weir/processor/policy"
)

// The schema is a file of the repository, so that editors can be pointed at it.
//go:generate go run . config schema -o ../../docs/policy.schema.json

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupText,
		Short:   "Say which settings are in force, and where they come from",
		Long: `What a policy and the flags of 'weir run' come to, with the origin of each value, and the schema of policies for editors and other
programs.`,
		Example: "  weir config show policy.yaml --effective\n  weir config schema > policy.schema.json",
	}
	return group(cmd, newConfigShow(), newConfigSchema())
}

func newConfigSchema() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of policies",
		Long: `Prints the JSON schema (draft 2020-12) of policies, with the callouts of this program. An editor that knows YAML schemas then offers
keys and words, and marks what does not fit: yaml-language-server takes a first line such as

  # yaml-language-server: $schema=policy.schema.json

The schema knows the form. Whether a filter compiles and a name is defined, 'weir check' says.`,
		Example: "  weir config schema > policy.schema.json\n  weir config schema | jq '.properties.driver.properties | keys'",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			schema := policy.Schema(callouts.Factories())
			if to != "" {
				return os.WriteFile(to, schema, 0o644)
			}
			_, err := cmd.OutOrStdout().Write(schema)
			return err
		}),
	}
	cmd.Flags().StringVarP(&to, "output", "o", "", "`file` to write it to, anew; left out: standard output")
	return cmd
}
