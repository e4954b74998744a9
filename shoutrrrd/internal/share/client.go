// Package share divides what is scarce among the clients of a listener: places,
// requests in hand, memory. A bound without shares belongs to the first client
// that takes all of it.
package share

import "net/netip"

// Client is who a resource is charged to: an address, or the network of one.
type Client struct {
	// address is the client's IPv4 address, or the first of its IPv6 network. It is
	// invalid if the client has none, as on a pipe: all of those are one client.
	address netip.Addr
}

// Loopback is every program of this machine. Each can use all of
// 127.0.0.0/8, so that their addresses do not tell them apart.
var Loopback = Client{netip.IPv6Loopback()}

// networkBits is what a provider gives to one customer at least (RFC 6177): a
// client with such a network has 2^64 addresses.
const networkBits = 64

// ClientOf returns the client behind the remote address of a connection, in the
// form of [net/http.Request.RemoteAddr].
func ClientOf(remote string) Client {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return Client{}
	}
	address := from.Addr().Unmap().WithZone("")
	switch {
	case address.IsLoopback():
		return Loopback
	case address.Is4(), address.IsLinkLocalUnicast(): // all neighbors of a link have the network fe80::/64
		return Client{address}
	}
	network, err := address.Prefix(networkBits)
	if err != nil {
		return Client{address}
	}
	return Client{network.Addr()}
}

// IsLoopback reports whether the client is a program of this machine.
func (c Client) IsLoopback() bool { return c == Loopback }

// String returns the address, for logs; that of a network has its length.
func (c Client) String() string {
	switch {
	case !c.address.IsValid():
		return "unknown"
	case c.IsLoopback():
		return "loopback"
	case c.address.Is6() && !c.address.IsLinkLocalUnicast():
		return netip.PrefixFrom(c.address, networkBits).String()
	}
	return c.address.String()
}
