package node

import (
	"net/netip"
	"testing"
)

func TestPodNetworks(t *testing.T) {
	for i, network := range podNetworks {
		if network != network.Masked() || !network.Addr().IsPrivate() {
			t.Errorf("%s is no private network", network)
		}
		for _, other := range append(podNetworks[:i:i], netip.MustParsePrefix("10.96.0.0/16")) {
			if network.Overlaps(other) {
				t.Errorf("%s overlaps %s", network, other)
			}
		}
	}
	if network, err := freePodNetwork(); err != nil || !network.IsValid() {
		t.Errorf("network = %v, %v", network, err)
	}
}
