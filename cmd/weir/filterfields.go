package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// fieldList is what `weir filter fields --json` prints.
type fieldList struct {
	Layer  string      `json:"layer"`
	Fields []fieldDoc  `json:"fields"` // in WinDivert's order
	Macros []macroWord `json:"macros"` // upper-case names of numbers
}

type fieldDoc struct {
	Name    string   `json:"name"`
	Min     string   `json:"min"`
	Max     string   `json:"max"`
	Indexed bool     `json:"indexed"` // written with an index: packet[0], tcp.Payload16[-2]
	Layers  []string `json:"layers"`
	Doc     string   `json:"doc"`
}

type macroWord struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
	Doc   string `json:"doc"`
}

func newFilterFields() *cobra.Command {
	var layer string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fields",
		Short: "List the fields of the filter language",
		Long: `Lists what a filter can ask for at a layer: the fields with the values that they can have, and the macros, which are upper-case
names for numbers. A field with [i] is a byte or word at an offset, from the end if the offset is negative.`,
		Example: "  weir filter fields\n  weir filter fields --layer socket\n  weir filter fields --json | jq -r '.fields[].name'",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			l, err := layerOf(layer)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), fieldsOf(l))
			}
			return printFields(cmd.OutOrStdout(), fieldsOf(l))
		}),
	}
	layerFlag(cmd, &layer)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func fieldsOf(l addr.Layer) fieldList {
	list := fieldList{Layer: l.String(), Fields: []fieldDoc{}, Macros: []macroWord{}}
	for _, f := range filter.Fields(l) {
		d := fieldDoc{Name: f.Name, Min: f.Min, Max: f.Max, Indexed: f.Indexable, Doc: f.Doc}
		for _, at := range f.Layers {
			d.Layers = append(d.Layers, at.String())
		}
		list.Fields = append(list.Fields, d)
	}
	for _, m := range filter.Macros(l) {
		list.Macros = append(list.Macros, macroWord{m.Name, m.Value, m.Doc})
	}
	return list
}

func printFields(w io.Writer, list fieldList) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "FIELD\tVALUES\tMEANING\n")
	for _, f := range list.Fields {
		name, values := f.Name, f.Min+" to "+f.Max
		if f.Indexed {
			name += "[i]"
		}
		if f.Min == f.Max {
			values = f.Min
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, values, f.Doc)
	}
	fmt.Fprintf(t, "\nMACRO\tVALUE\tMEANING\n")
	for _, m := range list.Macros {
		fmt.Fprintf(t, "%s\t%d\t%s\n", m.Name, m.Value, m.Doc)
	}
	return t.Flush()
}
