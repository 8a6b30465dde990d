package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

const (
	bridgeName  = "jh0"
	networkName = "job-handler"
)

// podNetworks are the networks that pods can be in, in order of preference;
// the machine may use some of them already, as podman does the first.
var podNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.88.0.0/16"),
	netip.MustParsePrefix("10.188.0.0/16"),
	netip.MustParsePrefix("172.29.0.0/16"),
	netip.MustParsePrefix("192.168.224.0/20"),
}

// freePodNetwork returns the first network that no address and no route of the
// machine overlaps, apart from our own bridge's.
func freePodNetwork() (netip.Prefix, error) {
	used, err := usedNetworks()
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, candidate := range podNetworks {
		free := true
		for _, network := range used {
			free = free && !candidate.Overlaps(network)
		}
		if free {
			return candidate, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("finding a network for pods: each of %v is in use", podNetworks)
}

func usedNetworks() ([]netip.Prefix, error) {
	var used []netip.Prefix
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	for _, address := range addresses {
		used = append(used, prefixOf(address.IPNet))
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	for _, route := range routes {
		// The default route, of no bits, leads everywhere.
		if prefix := prefixOf(route.Dst); prefix.Bits() > 0 {
			used = append(used, prefix)
		}
	}
	return used, nil
}

// prefixOf returns the zero prefix, which overlaps nothing, for what is none.
func prefixOf(network *net.IPNet) netip.Prefix {
	if network == nil {
		return netip.Prefix{}
	}
	address, ok := netip.AddrFromSlice(network.IP)
	if !ok {
		return netip.Prefix{}
	}
	bits, _ := network.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), bits).Masked()
}

// makeBridge makes the bridge that pods are connected to. Its address, the
// first of the network, is the node's: the apiserver listens there, and reaches
// the kubelet and the pods from there.
func makeBridge(network netip.Prefix) error {
	link := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	link.Name = bridgeName
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("making bridge %s: %w", bridgeName, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{
		IP:   network.Addr().Next().AsSlice(),
		Mask: net.CIDRMask(network.Bits(), 32),
	}}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("giving bridge %s its address: %w", bridgeName, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting bridge %s up: %w", bridgeName, err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switching on IP forwarding: %w", err)
	}
	return nil
}

// bridgeExists reports whether there is a link with the bridge's name.
func bridgeExists() (bool, error) {
	_, err := netlink.LinkByName(bridgeName)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return false, nil
	}
	return err == nil, err
}
