package main

import "testing"

func Example() {
	if err := run("../../testdata/captures/tls.pcapng"); err != nil {
		panic(err)
	}
	// Output:
	// 10.77.0.1 asks 10.77.0.2 for example.test
	// fd77::1 asks fd77::2 for example.test
	// 10.77.0.1 asks 10.77.0.2 for split.example.test
}

// The name is found when the last byte of the hello is there, and not before, in however many records it comes.
func TestServerName(t *testing.T) {
	body := append(make([]byte, 34), 0, 0, 2, 0x13, 1, 1, 0, 0, 18, 0, 0, 0, 14, 0, 12, 0, 0, 9)
	body = append(body, "weir.test"...)
	msg := append([]byte{clientHello, 0, 0, byte(len(body))}, body...)
	for first := range len(msg) + 1 {
		b := []byte{handshake, 3, 1, 0, byte(first)}
		b = append(append(b, msg[:first]...), handshake, 3, 3, 0, byte(len(msg)-first))
		b = append(b, msg[first:]...)
		whole := len(b)
		if first == len(msg) {
			whole -= 5 // the second record is empty
		}
		for n := range len(b) + 1 {
			name, more := serverName(b[:n])
			if n < whole && (name != "" || !more) || n >= whole && (name != "weir.test" || more) {
				t.Fatalf("records of %d and %d, %d bytes of %d: %q, %v", first, len(msg)-first, n, len(b), name, more)
			}
		}
	}
	for _, b := range [][]byte{{23}, {handshake, 3, 1, 0, 4, 2, 0, 0, 0}, []byte("GET / HTTP/1.1\r\n")} {
		if name, more := serverName(b); name != "" || more {
			t.Errorf("%x: %q, %v", b, name, more)
		}
	}
}
