package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
)

// right is a row of docs/security.md: `resource` (`group`), verbs.
var right = regexp.MustCompile("(?m)^\\| `([a-z/]+)`[^|]*\\| ([a-z, ]+) \\|")

var _ = Describe("The rights of the manager", func() {
	It("are those that docs/security.md tells of", func() {
		text, err := os.ReadFile("../docs/security.md")
		Expect(err).NotTo(HaveOccurred())
		told := map[string][]string{}
		for _, row := range right.FindAllStringSubmatch(string(text), -1) {
			told[row[1]] = slices.Sorted(slices.Values(strings.Split(row[2], ", ")))
		}

		objects, err := config.Load(append([]string{"rbac/role.yaml"}, config.SecretResultsManifests...)...)
		Expect(err).NotTo(HaveOccurred())
		granted := map[string][]string{}
		rules := find[rbacv1.ClusterRole](objects, "ClusterRole", "job-handler-manager").Rules
		for _, rule := range rules {
			Expect(rule.Resources).NotTo(ContainElement("secrets"))
		}
		for _, rule := range append(rules, find[rbacv1.ClusterRole](objects, "ClusterRole", api.SecretResultsRole).Rules...) {
			for _, resource := range rule.Resources {
				granted[resource] = slices.Sorted(slices.Values(rule.Verbs))
			}
		}
		Expect(told).To(Equal(granted))
	})
})
