package drvtest

import (
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv"
)

// forwardRules ask again, at NETWORK_FORWARD and with forwarded packets, what a driver may have done for NETWORK alone. They are
// rules that tell packets by their numbers only, since a router changes what it forwards.
var forwardRules = atForward(
	"priority/higher-first", "priority/equal-newest-first", "priority/a-drop-ends-it",
	"sniff/only-copies-say-so", "sniff/several", "drop-all/drops", "drop-all/is-counted", "recv-only/cannot-pass", "send-only/takes-nothing",
	"queue/length-sheds-the-oldest", "complete/marks-by-packet", "hold/released-in-any-order", "deadline/passes-by-default",
	"shutdown/recv-takes-nothing-more", "shutdown/send-passes-nothing", "close/unread-packets-go-to-lower-handles", "race/shutdown-and-close",
)

// atForward returns the rules of those names for the forward layer: "forward/priority-higher-first".
func atForward(names ...string) (rules []Rule) {
	for _, r := range slices.Concat(
		priorityRules, sniffRules, directionRules, queueRules, completeRules, holdRules, deadlineRules, shutdownRules, closeRules, raceRules,
	) {
		if !slices.Contains(names, r.Name) {
			continue
		}
		rules = append(rules, Rule{
			Name:  "forward/" + strings.ReplaceAll(r.Name, "/", "-"),
			Ref:   r.Ref,
			needs: slices.Concat(r.needs, []need{needForward, needLayerForward}),
			test: func(p *probe) {
				p.layer, p.way = divertdrv.NetworkForward, Forwarded
				r.test(p)
			},
		})
	}
	return rules
}
