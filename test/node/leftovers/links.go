package leftovers

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// removeLinks removes the bridge and the veths in it, whose other ends go too.
func removeLinks(_ context.Context, r Record) ([]string, error) {
	bridge, err := netlink.LinkByName(r.Bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("finding bridge %s: %w", r.Bridge, err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing network links: %w", err)
	}
	var removed []string
	for _, link := range links {
		if link.Attrs().MasterIndex != bridge.Attrs().Index || link.Type() != "veth" {
			continue
		}
		// The kernel removes them too, some time after their namespace went.
		if err := netlink.LinkDel(link); err == nil {
			removed = append(removed, "veth "+link.Attrs().Name)
		}
	}
	if err := netlink.LinkDel(bridge); err != nil {
		return removed, fmt.Errorf("removing bridge %s: %w", r.Bridge, err)
	}
	return append(removed, "bridge "+r.Bridge), nil
}
