// Package callouts lists the callouts that ship with Weir. Each is a package of its own, with a README in the form of a manual
// page; they use nothing that an embedder's own callouts cannot use.
package callouts

import (
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/callouts/count"
	"github.com/weirnet/weir/processor/callouts/judged"
	"github.com/weirnet/weir/processor/callouts/limit"
	"github.com/weirnet/weir/processor/callouts/reject"
	"github.com/weirnet/weir/processor/callouts/rewrite"
	"github.com/weirnet/weir/processor/callouts/tap"
)

// Factories returns, by type, what makes the callouts that policies name. The map is the caller's, to add its own to it.
func Factories() map[string]func(name string, decode func(into any) error) (processor.Callout, error) {
	return map[string]func(string, func(any) error) (processor.Callout, error){
		count.Type:   count.Factory,
		rewrite.Type: rewrite.Factory,
		reject.Type:  reject.Factory,
		judged.Type:  judged.Factory,
		limit.Type:   limit.Factory,
		tap.Type:     tap.Factory,
	}
}
