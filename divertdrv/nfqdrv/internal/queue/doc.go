// Package queue is the nfnetlink_queue socket: it takes packets that a rule of the kernel sent to a queue number, and tells the
// kernel what becomes of them.
//
// The path of a packet:
//
//  1. Recv reads as many messages as wait, up to a batch, with one recvmmsg into memory that the Queue owns (recv_linux.go).
//  2. Next reads a message in place (packet.go); its bytes are valid until the Recv after.
//  3. A Verdicts gathers what was decided, payloads by reference, and Flush tells the kernel all of it with one sendmsg
//     (verdict_linux.go). The kernel lets the packets go on before Flush returns.
//
// What is lost before Recv the kernel counts (stats_linux.go). What it tells of verdicts that came too late is counted here.
//
// One goroutine receives at a time; Wake, Stats and Verdicts (each guarded by its owner) may be used beside it. In the steady
// state nothing allocates. A Queue belongs to the network namespace of the thread that opens it.
package queue
