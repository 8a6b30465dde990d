package leftovers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// chainTables are those that kube-proxy, kubelet and the CNI plugins write to.
var chainTables = []string{"nat", "filter", "mangle", "raw"}

// removeChains removes kube-proxy's and the CNI network's chains, with every
// rule that leads to them.
func removeChains(ctx context.Context, r Record) ([]string, error) {
	var removed []string
	var failures []error
	for _, family := range []string{"iptables", "ip6tables"} {
		if _, err := exec.LookPath(family); err != nil {
			continue
		}
		for _, table := range chainTables {
			n, err := removeTableChains(ctx, family, table, r.Network)
			if err != nil {
				failures = append(failures, err)
			}
			if n > 0 {
				removed = append(removed, fmt.Sprintf("%d %s chains of table %s", n, family, table))
			}
		}
	}
	return removed, errors.Join(failures...)
}

func removeTableChains(ctx context.Context, family, table, network string) (int, error) {
	// A kernel without the table has no chains in it.
	rules, err := exec.CommandContext(ctx, family+"-save", "-t", table).Output()
	if err != nil {
		return 0, nil //nolint:nilerr // See above.
	}
	chains := ownChains(string(rules), network)
	if len(chains) == 0 {
		return 0, nil
	}
	restore := exec.CommandContext(ctx, family+"-restore", "--noflush")
	restore.Stdin = strings.NewReader(removal(table, string(rules), chains))
	if text, err := restore.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("removing %s chains of table %s: %w: %s", family, table, err, text)
	}
	return len(chains), nil
}

// ForeignChains returns chains of a kube-proxy on this machine. Before a node
// is started they are another Kubernetes', with which it would not get along.
func ForeignChains(ctx context.Context) []string {
	rules, err := exec.CommandContext(ctx, "iptables-save", "-t", "nat").Output()
	if err != nil {
		return nil
	}
	return ownChains(string(rules), "")
}

// ownChains returns the chains in the output of iptables-save that are
// kube-proxy's, or the kubelet's, or of the CNI network; other CNI networks
// have chains of the same form, but name themselves in the comment of a rule.
func ownChains(rules, network string) []string {
	var chains []string
	for line := range strings.Lines(rules) {
		name, isChain := strings.CutPrefix(line, ":")
		name, _, _ = strings.Cut(name, " ")
		if !isChain {
			continue
		}
		if strings.HasPrefix(name, "KUBE-") || strings.HasPrefix(name, "CNI-") && serves(rules, name, network) {
			chains = append(chains, name)
		}
	}
	return chains
}

// serves reports whether a rule that mentions the chain is the network's.
func serves(rules, chain, network string) bool {
	comment := fmt.Sprintf(`name: \"%s\"`, network)
	for line := range strings.Lines(rules) {
		if slices.Contains(strings.Fields(line), chain) && strings.Contains(line, comment) {
			return true
		}
	}
	return false
}

// removal returns the input of iptables-restore that removes the chains: first
// the rules elsewhere that lead to them, then their own, then the chains.
func removal(table, rules string, chains []string) string {
	var script strings.Builder
	fmt.Fprintf(&script, "*%s\n", table)
	for line := range strings.Lines(rules) {
		rule, isRule := strings.CutPrefix(strings.TrimSpace(line), "-A ")
		fields := strings.Fields(rule)
		if !isRule || slices.Contains(chains, fields[0]) {
			continue
		}
		if i := slices.Index(fields, "-j"); i >= 0 && slices.Contains(chains, fields[i+1]) {
			fmt.Fprintf(&script, "-D %s\n", rule)
		}
	}
	for _, chain := range chains {
		fmt.Fprintf(&script, "-F %s\n", chain)
	}
	for _, chain := range chains {
		fmt.Fprintf(&script, "-X %s\n", chain)
	}
	script.WriteString("COMMIT\n")
	return script.String()
}
