// Package control is the daemon's control API: its types, the server that a daemon puts in front of itself, and the client that
// the commands use. It is JSON over HTTP on a unix socket that only its owner can open (a named pipe on Windows), or on TCP with
// a token where somebody asked for that. Metrics are on the same server, at /metrics.
//
//	GET  /v1/status           what runs, by which policy                  → Status
//	GET  /v1/stats            the books, of handles, filters, callouts    → Stats
//	GET  /v1/flows            flows that are remembered                   → Flows
//	GET  /v1/filters          the filters in force, in their order        → Filters
//	POST /v1/explain          what the policy in force says to a packet   ExplainRequest → processor.Explanation
//	POST /v1/reload           read the policy again                       → ReloadResult
//	GET  /v1/log, PUT /v1/log the log levels                              LogLevel → LogLevels
//	POST /v1/pause, /v1/resume divert nothing for a while                 → Status
//	GET  /v1/trace            live packets, explained, a line each        → Trace …
//	GET  /v1/dump             live packets as pcapng, after their verdict
//
// The version in the path is raised when a client of the old one would go wrong; keys may be added without that, so a client must
// ignore those that it does not know. An answer that is no success is an Error.
//
// Everything is bounded (limits.go): bodies, connections, requests per second, subscriptions and what waits for a slow one.
package control
