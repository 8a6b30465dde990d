package redact

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	letters  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits   = "0123456789"
	alphabet = letters + digits + "_-"
)

// builtinScanner returns the built-in rules, compiled once.
var builtinScanner = sync.OnceValue(func() *scanner { return newScanner(builtinRules()) })

// BuiltinRules returns the names of the built-in rules, as in Counts.
func BuiltinRules() []string {
	var names []string
	for _, r := range builtinRules() {
		names = append(names, r.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// builtinRules are forms that are told by how they look, or by the name that
// stands before them. Lengths and alphabets of tokens are those that their
// issuers give, and the rules of gitleaks collect.
func builtinRules() []*rule {
	return slices.Concat([]*rule{keyRule()}, cloudRules(), serviceRules(), headerRules(), assignmentRules())
}

func token(name, pattern string, keywords ...string) *rule {
	return &rule{name: name, keywords: keywords, token: true, re: anchored(pattern)}
}

func named(name, pattern string, keywords ...string) *rule {
	return &rule{name: name, keywords: keywords, fold: true, re: anchored(`(?i:` + either(keywords) + `)` + pattern)}
}

// likely returns the rule for what is a secret by its looks only.
func likely(looks func([]byte) bool, r *rule) *rule {
	r.likely = looks
	return r
}

func anchored(pattern string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)`) }

func either(keywords []string) string {
	quoted := make([]string, 0, len(keywords))
	for _, k := range keywords {
		quoted = append(quoted, regexp.QuoteMeta(k))
	}
	return strings.Join(quoted, "|")
}

// followed returns start followed by each byte of set.
func followed(start, set string) []string {
	var all []string
	for i := range len(set) {
		all = append(all, start+set[i:i+1])
	}
	return all
}

// preceded returns end preceded by each byte of set.
func preceded(set, end string) []string {
	var all []string
	for i := range len(set) {
		all = append(all, set[i:i+1]+end)
	}
	return all
}

// assigned is what stands between a name and its value, in files, headers, JSON
// and JSON within JSON.
const assigned = `\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?`

func cloudRules() []*rule {
	return []*rule{
		token("aws-access-key-id", `(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`, "AKIA", "ASIA", "ABIA", "ACCA"),
		named("aws-secret-access-key", assigned+`([A-Za-z0-9/+]{40})`, "secret_access_key", "secretaccesskey"),
		named("aws-session-token", assigned+`([A-Za-z0-9/+=%]{100,})`, "session_token", "sessiontoken", "security-token"),
		token("gcp-api-key", `AIza[\w-]{35}`, "AIza"),
		token("gcp-oauth-token", `ya29\.[\w-]{20,}`, "ya29."),
		token("gcp-client-secret", `GOCSPX-[\w-]{28}`, "GOCSPX-"),
		named("azure-account-key", `([A-Za-z0-9+/]{40,}={0,2})`, "accountkey=", "sharedaccesskey="),
		named("azure-signature", `([A-Za-z0-9%+/]{40,}={0,2})`, "&sig=", "?sig="),
		{
			name: "azure-client-secret", keywords: secretStarts(),
			re: anchored(`\dQ~[\w.~-]{31,}`),
		},
	}
}

func serviceRules() []*rule {
	return []*rule{
		token("github-token", `(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{36})`, "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
		token("gitlab-token", `gl[a-z]{2,6}-[\w-]{20,}(?:\.[\w-]+)*`,
			"glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "gloas-"),
		token("slack-token", `(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10}`, "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xapp-"),
		named("slack-webhook", `(?:services|workflows|triggers)/([\w+/]{20,})`, "hooks.slack.com/"),
		token("stripe-key", `(?:[sr]k_(?:live|test|prod)_|whsec_)[A-Za-z0-9]{10}`,
			"sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_", "whsec_"),
		token("npm-token", `npm_[A-Za-z0-9]{36}`, "npm_"),
		token("pypi-token", `pypi-AgE[\w-]{50}`, "pypi-AgE"),
		token("docker-token", `dckr_[a-z]{3}_[\w-]{20}`, "dckr_pat_", "dckr_oat_"),
		likely(random, token("openai-key", `sk-(?:proj|svcacct|admin)-[\w-]{20}`, "sk-proj-", "sk-svcacct-", "sk-admin-")),
		likely(random, token("anthropic-key", `sk-ant-[\w-]{20}`, "sk-ant-")),
		token("huggingface-token", `hf_[A-Za-z]{34}`, followed("hf_", letters)...),
		token("sendgrid-key", `SG\.[\w-]{22}\.[\w-]{43}`, followed("SG.", alphabet)...),
		token("shopify-token", `shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`, "shpat_", "shpca_", "shppa_", "shpss_"),
		token("digitalocean-token", `do[opr]_v1_[a-f0-9]{64}`, "dop_v1_", "doo_v1_", "dor_v1_"),
		token("vault-token", `hv[sb]\.[\w-]{24}`, "hvs.", "hvb."),
		token("databricks-token", `dapi[a-f0-9]{32}\b`, "dapi"),
		token("grafana-token", `(?:glc_[A-Za-z0-9+/]{32}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})`, "glc_", "glsa_"),
		token("atlassian-token", `ATATT3[\w=-]{100,}`, "ATATT3"),
		token("linear-key", `lin_api_[A-Za-z0-9]{40}`, "lin_api_"),
		{name: "mailgun-key", keywords: []string{"key-"}, locate: locateMailgunKey},
		token("age-secret-key", `AGE-SECRET-KEY-1[A-Z0-9]{58}`, "AGE-SECRET-KEY-1"),
		{
			name: "jwt", keywords: followed("eyJ", alphabet), token: true, next: ".eyJ",
			re: anchored(`eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]*)?`),
		},
	}
}

func headerRules() []*rule {
	const value = `[\w+/=.~:-]`
	// Without a word for its scheme, a value is told from prose and code by how it
	// looks.
	bearer := named("authorization", `\s{1,3}(`+value+`{16,})`, "bearer")
	plain := named("authorization", assigned+`(`+value+`{20,})`, "authorization")
	header := named("token-header", assigned+`(`+value+`{16,})`, "x-api-key", "x-auth-token", "private-token", "x-vault-token")
	bearer.likely, plain.likely, header.likely = random, random, random
	scheme := named("authorization", assigned+
		`(?:(?:(?i:basic|bearer|token|apikey|negotiate)\s{1,3}(`+value+`{6,}))|(?:(?i:digest|hawk|aws4-hmac-sha256)\s{1,3}([^\[\r]{6,})))`,
		"authorization")
	scheme.likely = func(match []byte) bool { return !innocent(match) }
	return []*rule{scheme, plain, bearer, header}
}

// assignmentRules are those by the name to which a value is assigned.
func assignmentRules() []*rule {
	return []*rule{
		located("url-token", locateURLToken, "access_token", "refresh_token", "client_secret", "id_token"),
		located("password", locatePassword, slices.Concat([]string{"password", "passwd", "passphrase"}, bordered("pwd"), bordered("_pass"), bordered("-pass"))...),
		located("secret", locateSecret, "secret", "secret_key", "secretkey", "secret-key", "api_key", "apikey", "api-key", "access_key", "accesskey",
			"access-key", "private_key", "signing_key", "encryption_key", "token", "credential", "credentials"),
		located("registry-login", locateLogin, "auth", "dockerconfigjson", "dockercfg"),
		{name: "url-password", keywords: preceded(letters+digits, "://"), locate: locateURLPassword},
	}
}

func located(name string, locate func(line []byte, start, end int) (from, to int, found bool), keywords ...string) *rule {
	return &rule{name: name, keywords: keywords, fold: true, locate: locate}
}

// bordered returns a name, which is too short to be searched for, with each byte
// that may end it.
func bordered(name string) []string {
	var all []string
	for _, c := range "=:\"'`>] \\" {
		all = append(all, name+string(c))
	}
	return all
}

// secretStarts returns what stands in the middle of a client secret of Azure.
func secretStarts() []string {
	var all []string
	for _, start := range preceded(digits, "Q~") {
		all = append(all, followed(start, alphabet+".~")...)
	}
	return all
}
