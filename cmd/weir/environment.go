package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// fromEnvironment sets the flags that were not given from variables: --log-level from WEIR_LOG_LEVEL. It returns the variable of
// each flag that it set. An empty variable is none.
func fromEnvironment(flags *pflag.FlagSet) (map[string]string, error) {
	from := map[string]string{}
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		variable := variableOf(flag.Name)
		text := os.Getenv(variable)
		if flag.Changed || text == "" || flag.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(flag.Name, text); err != nil {
			failed = fmt.Errorf("variable %s: %w", variable, err)
			return
		}
		from[flag.Name] = variable
	})
	return from, failed
}

// variableOf is the variable of a flag.
func variableOf(flag string) string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
