package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Address says where a control API is: the path of a unix socket (on Windows the name of a pipe, \\.\pipe\NAME), or
// http://HOST:PORT with a token.
type Address struct {
	Path  string // valid iff URL is nil
	URL   *url.URL
	Token string // sent with every request, if not empty
}

// ParseAddress reads an address; empty stands for DefaultPath.
func ParseAddress(text string) (Address, error) {
	switch {
	case text == "":
		return Address{Path: DefaultPath()}, nil
	case strings.HasPrefix(text, "http://"):
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return Address{}, fmt.Errorf("control address %q: want http://HOST:PORT", text)
		}
		return Address{URL: &url.URL{Scheme: "http", Host: u.Host}}, nil
	case strings.Contains(text, "://"):
		return Address{}, fmt.Errorf("control address %q: want the path of a socket, or http://HOST:PORT", text)
	}
	return Address{Path: text}, nil
}

func (a Address) String() string {
	if a.URL != nil {
		return a.URL.String()
	}
	return a.Path
}

// transport speaks HTTP over the address.
func (a Address) transport() (base string, rt *http.Transport) {
	rt = &http.Transport{MaxIdleConns: 2, IdleConnTimeout: idleTimeout, DisableCompression: true}
	if a.URL != nil {
		return a.URL.String(), rt
	}
	rt.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, a.Path) }
	return "http://weir", rt
}
