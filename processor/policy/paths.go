package policy

import (
	"os"
	"path/filepath"
	"strings"
)

// bounds is where the paths of a policy may lead. What a policy has written is written by a privileged program, so by default it
// stays in the policy's directory, and so does whatever an included file names, which may be somebody else's. Files that the policy
// itself has read (captures, namespaces) may be anywhere: whoever runs the policy can read it before.
type bounds struct {
	base  string   // the policy's directory
	write []string // others, for what is written
	links bool     // symlinks are looked at
}

// path returns the path that a value names, from the directory of its file, and reports one that leads out.
func (d *decoder) path(n *node, use string) string {
	p := relative(n.src.name, n.text)
	write := use != "read"
	if p == "" || !write && n.src.below == "" || d.bounds.hold(p, write) {
		return p
	}
	remedy := "put the file there"
	if write {
		remedy += ", or allow the directory with --allow-write"
	}
	d.at(n, "%s leads out of the policy's directory; %s", quote(n.text), remedy)
	return ""
}

// hold reports whether the path is below the policy's directory, or below one where it may write.
func (b *bounds) hold(p string, write bool) bool {
	if b.below(b.base, p) {
		return true
	}
	for _, dir := range b.write {
		if write && b.below(dir, p) {
			return true
		}
	}
	return false
}

func (b *bounds) below(dir, p string) bool {
	if b.links {
		var ok bool
		if p, ok = resolve(p); !ok {
			return false
		}
		if dir, ok = resolve(dir); !ok {
			return false
		}
	}
	rel, err := filepath.Rel(dir, p)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}

// resolve follows the symlinks of a path as far as it exists; what does not exist yet is below the rest. Not ok: a symlink leads
// to what does not exist.
func resolve(p string) (string, bool) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", false
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		if there, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(there, strings.TrimPrefix(abs, dir)), true
		}
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

// relative takes a path of the policy from the policy's directory. On Windows a path that begins with a separator or a drive is none of
// that directory either, though it is not absolute.
func relative(policy, path string) string {
	if path == "" || filepath.IsAbs(path) || os.IsPathSeparator(path[0]) || filepath.VolumeName(path) != "" {
		return path
	}
	return filepath.Join(filepath.Dir(policy), path)
}
