module github.com/weirnet/weir/bench/peers/checksum

go 1.26.0

require (
	github.com/tailscale/wireguard-go v0.0.0-20250716170648-1d0488a3d7da
	github.com/weirnet/weir v0.0.0
	gvisor.dev/gvisor v0.0.0-20260224225140-573d5e7127a8
)

require (
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
)

replace github.com/weirnet/weir => ../../..
