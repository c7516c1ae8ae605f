// Package bench measures Weir beside what people use today.
//
// A Scenario has cases (one for each set of parameters: packet size, number of filters), and each case has variants that do the same
// work: ours first, then peers. Run starts all of them, checks that those which say what they found agree, and then measures in
// rounds:
//
//	round 1:  case 1: A B C   case 2: A B C   …
//	round 2:  case 1: A B C   …
//
// so that whatever else the machine does falls on all of them. What is compared is what stands in one round: the ratio of two
// variants is the median of the ratios of their rounds, never the ratio of times taken apart. The first round warms up and is not
// kept.
//
// A variant is started (which is not measured) and gives a Trial, whose Run is one measured run. What is a loop over operations is
// made by Loop, which finds how many operations fill a run and reads clocks, processor time and allocations around it; what measures
// itself (a live scenario) fills a Sample by itself. A variant that cannot run here returns Unable with the reason, which the report
// shows; nothing is left out silently.
//
// # Peers of another module
//
// What needs other people's modules lives in bench/peers, a module of its own. Its command, bench/peers/serve, is a program that
// calls Serve with its variants and speaks JSON, one object on a line, over its standard input and output:
//
//	→ {"do":"hello"}                                                    ← {"variants":[{"scenario":"parse","name":"gopacket DLP",…}]}
//	→ {"do":"start","scenario":"parse","variant":"…","params":[…],"seed":1,"procs":1}  ← {"id":1,"digest":"…"} or {"unable":"why"}
//	→ {"do":"run","id":1,"ns":5000000}                                  ← {"sample":{…}}
//	→ {"do":"close","id":1}                                             ← {}
//
// Any answer may be {"error":"…"}. The parent (Peers) adds what the program has to the cases of a scenario and runs them like its
// own: while one side is measured the other waits for a line, so runs are A/B/A/B across both programs. Packets and filters are not
// sent: both sides make them from the scenario's seed with the same code (package workload, which the peers' module imports), and the
// digests of what they found are compared. `weir bench --peers` builds the program with `go build` where it is called in a checkout;
// --peers-bin names one that was built before.
package bench
