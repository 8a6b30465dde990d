package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
)

// right is a row of docs/security.md: `resource` (`group`), verbs.
var right = regexp.MustCompile("(?m)^\\| `([a-z/]+)`[^|]*\\| ([a-z, ]+) \\|")

var _ = Describe("The rights of the manager", func() {
	// Rows of docs/security.md between a heading line and the next, and the
	// rules that they tell of.
	DescribeTable("are those that docs/security.md tells of", func(begin, end string, rules func() []rbacv1.PolicyRule) {
		text, err := os.ReadFile("../docs/security.md")
		Expect(err).NotTo(HaveOccurred())
		_, section, found := strings.Cut(string(text), begin)
		Expect(found).To(BeTrue(), begin)
		section, _, found = strings.Cut(section, end)
		Expect(found).To(BeTrue(), end)
		told := map[string][]string{}
		for _, row := range right.FindAllStringSubmatch(section, -1) {
			told[row[1]] = slices.Sorted(slices.Values(strings.Split(row[2], ", ")))
		}
		granted := map[string][]string{}
		for _, rule := range rules() {
			for _, resource := range rule.Resources {
				granted[resource] = slices.Sorted(slices.Values(append(granted[resource], rule.Verbs...)))
			}
		}
		Expect(told).To(Equal(granted))
	},
		Entry("in all namespaces", "In all namespaces", "In its own namespace", func() []rbacv1.PolicyRule {
			rules := find[rbacv1.ClusterRole](load("rbac/role.yaml"), "ClusterRole", "job-handler-manager").Rules
			for _, rule := range rules {
				Expect(rule.Resources).NotTo(ContainElement("secrets"))
			}
			return rules
		}),
		Entry("in its own", "In its own namespace", "With the component", func() []rbacv1.PolicyRule {
			own := find[rbacv1.Role](load("rbac/role.yaml"), "Role", "job-handler-manager").Rules
			election := find[rbacv1.Role](load("rbac/leader_election_role.yaml"), "Role", "job-handler-leader-election")
			return append(own, election.Rules...)
		}),
		Entry("with the component prometheus", "With the component", "In the namespaces that want", func() []rbacv1.PolicyRule {
			text, err := os.ReadFile("components/prometheus/metrics_access.yaml")
			Expect(err).NotTo(HaveOccurred())
			objects, err := config.Decode(text)
			Expect(err).NotTo(HaveOccurred())
			return find[rbacv1.ClusterRole](objects, "ClusterRole", "job-handler-metrics-access").Rules
		}),
		Entry("where results go into Secrets", "In the namespaces that want", "Three of these rights", func() []rbacv1.PolicyRule {
			objects, err := config.Load(config.SecretResultsManifests...)
			Expect(err).NotTo(HaveOccurred())
			return find[rbacv1.ClusterRole](objects, "ClusterRole", api.SecretResultsRole).Rules
		}),
	)
})

func load(path string) []*unstructured.Unstructured {
	GinkgoHelper()
	objects, err := config.Load(path)
	Expect(err).NotTo(HaveOccurred())
	return objects
}
