package policy

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/weirnet/weir/divertdrv/filter/set"
)

// Load reads the policy at path and what it includes. The error is *Errors, or what the system says of the path.
func Load(path string, opts Options) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, SizeMax+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	below := &directory{name: filepath.Dir(path)}
	defer below.close()
	return parse(path, src, opts, below)
}

// Parse reads a policy from memory, so it can include nothing. name is for errors, and its directory is where relative paths start.
// The error is *Errors. Callouts are made by their factories; nothing else outside of memory is touched.
func Parse(name string, src []byte, opts Options) (*File, error) { return parse(name, src, opts, nil) }

// parse reads a policy; what it includes is read from below, the policy's directory.
func parse(name string, src []byte, opts Options, below fs.FS) (*File, error) {
	p := &problems{}
	r := &reader{
		decoder: &decoder{problems: p, bounds: bounds{base: filepath.Dir(name), write: opts.WriteDirs, links: below != nil}, plans: map[reflect.Type]*plan{}},
		below:   below, named: map[string]*node{}, fromFiles: map[*node][]set.Entry{},
	}
	doc := r.read(newSource(name, string(src)))
	if doc == nil {
		return nil, p.err()
	}
	f := build(r, doc, opts)
	if err := p.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// directory is what is below a folder, symlinks that lead out of it excluded (os.Root). It is opened when it is first asked.
type directory struct {
	name string
	root *os.Root
}

func (d *directory) fs() (fs.FS, error) {
	if d.root == nil {
		root, err := os.OpenRoot(d.name)
		if err != nil {
			return nil, err
		}
		d.root = root
	}
	return d.root.FS(), nil
}

// Open implements fs.FS.
func (d *directory) Open(name string) (fs.File, error) {
	below, err := d.fs()
	if err != nil {
		return nil, err
	}
	return below.Open(name)
}

// Stat implements fs.StatFS: to look before a pipe is opened, which would wait for a writer.
func (d *directory) Stat(name string) (fs.FileInfo, error) {
	below, err := d.fs()
	if err != nil {
		return nil, err
	}
	return fs.Stat(below, name)
}

func (d *directory) close() {
	if d.root != nil {
		_ = d.root.Close()
	}
}
