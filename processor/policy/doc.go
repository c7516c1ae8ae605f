// Package policy reads policy files: YAML that says which handles to open, which filters and sublayers classify packets, and which
// callouts they name. docs/policy.md is the reference of the format.
//
// Reading is strict. An unknown key, a filter that does not compile, a name that is given twice or used without being defined, a
// number out of its range: each is an error with its line and column, and all errors of a file are told at once (*Errors).
// Anchors, aliases, tags and merge keys are refused, so that a small file cannot grow into a large one. The scanner of
// github.com/goccy/go-yaml splits the text; the tree is built here (block.go, flow.go), since that package's parser needs
// quadratic time, or stack in proportion to the file, for files that mean harm.
//
// Parse takes any bytes: it does not panic, and its time and memory are bounded by the size of the file, which is.
package policy
