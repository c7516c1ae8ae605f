package main

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/weirnet/weir/bench"
)

// fillCommit asks git, where the Go tool did not write into the program what it was built of (go run does not), and the working
// folder is a checkout of this module.
func fillCommit(ctx context.Context, b *bench.Build) {
	if b.Commit != "" {
		return
	}
	if text, err := os.ReadFile("go.mod"); err != nil || !strings.HasPrefix(string(text), "module github.com/weirnet/weir\n") {
		return
	}
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return // not known, then
	}
	b.Commit = strings.TrimSpace(string(head))
	status, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "-uno").Output()
	b.Modified = err == nil && len(status) > 0
}
