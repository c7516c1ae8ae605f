package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weirnet/weir/bench"
)

// startPeers runs the program of peers, if it is asked for; nil if not.
func (f *benchFlags) startPeers(ctx context.Context, tell func(string)) (*bench.Peers, error) {
	path, args := f.peersBin, []string(nil)
	if f.peers {
		dir, err := peersModule()
		if err != nil {
			return nil, wrong(err)
		}
		tell("building bench/peers")
		folder, err := os.MkdirTemp("", "weir-peers-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(folder) }() // the program runs by then; Windows keeps the file of what runs
		path, args = filepath.Join(folder, "peers.exe"), []string{dir}
		build := exec.CommandContext(ctx, "go", "build", "-o", path, "./serve")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the peers in %s: %w\n%s", dir, err, out)
		}
	}
	if path == "" {
		return nil, nil
	}
	return bench.StartPeers(ctx, path, args...)
}

// peersModule looks for bench/peers here and in the folders above.
func peersModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		peers := filepath.Join(dir, "bench", "peers")
		if _, err := os.Stat(filepath.Join(peers, "go.mod")); err == nil {
			return peers, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("--peers: there is no bench/peers here or above; call it in a checkout, or name a program by --peers-bin")
		}
		dir = up
	}
}
