package redact

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func builtin(t testing.TB, patterns ...string) *Set {
	t.Helper()
	set, err := New(true, patterns)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// of repeats text to a length. Secrets of tests are put together, so that no
// scanner takes this file for one that leaks them.
func of(text string, length int) string {
	return strings.Repeat(text, length/len(text)+1)[:length]
}

var (
	b64  = of("aB3dEf7hIj1k", 40)
	jwt  = "eyJ" + of("hbGciOiJIUzI1", 20) + ".eyJ" + of("zdWIiOiIxMjM0", 30) + "." + of("SflKxwRJSMeKKF2", 43)
	key  = "-----BEGIN RSA " + "PRIVATE KEY-----"
	done = "-----END RSA " + "PRIVATE KEY-----"
)

func TestBuiltin(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"AWS access key": {"key AKIA" + of("ABCD2345", 16) + " used", "key [redacted aws-access-key-id] used"},
		"AWS secret key": {"AWS_SECRET_ACCESS_KEY=" + b64, "AWS_SECRET_ACCESS_KEY=[redacted aws-secret-access-key]"},
		"AWS secret, YAML": {
			"aws_secret_access_key: '" + b64 + "'", "aws_secret_access_key: '[redacted aws-secret-access-key]'",
		},
		"AWS secret, JSON": {
			`{"SecretAccessKey": "` + b64 + `"}`, `{"SecretAccessKey": "[redacted aws-secret-access-key]"}`,
		},
		"AWS session token":   {"aws_session_token = " + of(b64, 200), "aws_session_token = [redacted aws-session-token]"},
		"GCP API key":         {"?key=AIza" + of(b64, 35) + "&x", "?key=[redacted gcp-api-key]&x"},
		"GCP OAuth token":     {"ya29." + b64, "[redacted gcp-oauth-token]"},
		"GCP client secret":   {"GOCSPX-" + of(b64, 28), "[redacted gcp-client-secret]"},
		"Azure account key":   {"DefaultEndpointsProtocol=https;AccountKey=" + of(b64, 86) + "==;E=x", "DefaultEndpointsProtocol=https;AccountKey=[redacted azure-account-key];E=x"},
		"Azure signature":     {"/c/b?sv=2024&sig=" + of(b64, 43) + "%3D&se=x", "/c/b?sv=2024&sig=[redacted azure-signature]&se=x"},
		"Azure client secret": {"abc8Q~" + of(b64, 34), "abc[redacted azure-client-secret]"},
		"GitHub token":        {"cloning with ghp_" + of(b64, 36), "cloning with [redacted github-token]"},
		"GitHub fine-grained": {"github_pat_" + of(b64, 82) + ".", "[redacted github-token]."},
		"GitLab token":        {"glpat-" + of(b64, 20), "[redacted gitlab-token]"},
		"Slack token":         {"xoxb-" + of("1234567890-", 40) + ",", "[redacted slack-token],"},
		"Slack webhook":       {"https://hooks.slack.com/services/T0/" + b64, "https://hooks.slack.com/services/[redacted slack-webhook]"},
		"Stripe key":          {"sk_live_" + of(b64, 24), "[redacted stripe-key]"},
		"npm token":           {"//registry/:_authToken=npm_" + of(b64, 36), "//registry/:_authToken=[redacted npm-token]"},
		"PyPI token":          {"pypi-AgE" + of(b64, 150), "[redacted pypi-token]"},
		"Docker token":        {"dckr_pat_" + of(b64, 27), "[redacted docker-token]"},
		"OpenAI key":          {"sk-proj-" + of(b64, 48), "[redacted openai-key]"},
		"Anthropic key":       {"sk-ant-api03-" + of(b64, 48), "[redacted anthropic-key]"},
		"Hugging Face token":  {"hf_" + of("abcdEFGH", 34), "[redacted huggingface-token]"},
		"SendGrid key":        {"SG." + of(b64, 22) + "." + of(b64, 43), "[redacted sendgrid-key]"},
		"Shopify token":       {"shpat_" + of("0123456789abcdef", 32), "[redacted shopify-token]"},
		"DigitalOcean token":  {"dop_v1_" + of("0123456789abcdef", 64), "[redacted digitalocean-token]"},
		"Vault token":         {"hvs." + of(b64, 90), "[redacted vault-token]"},
		"Databricks token":    {"dapi" + of("0123456789abcdef", 32), "[redacted databricks-token]"},
		"Grafana token":       {"glsa_" + of(b64, 32) + "_0123abcd", "[redacted grafana-token]"},
		"Atlassian token":     {"ATATT3" + of(b64, 180) + "=ABCDEF01", "[redacted atlassian-token]"},
		"Linear key":          {"lin_api_" + b64, "[redacted linear-key]"},
		"Mailgun key":         {"key-" + of("0123456789abcdef", 32), "[redacted mailgun-key]"},
		"age secret key":      {"AGE-SECRET-KEY-1" + of("QPZRY9X8GF2TVDW0", 58), "[redacted age-secret-key]"},
		"JWT":                 {`token: "` + jwt + `"`, `token: "[redacted jwt]"`},
		"bearer":              {"Authorization: Bearer " + b64, "Authorization: Bearer [redacted authorization]"},
		"basic, by curl":      {"> authorization: Basic dXNlcjpwYXNz", "> authorization: Basic [redacted authorization]"},
		"in JSON":             {`{"Authorization":"token ` + b64 + `","x":1}`, `{"Authorization":"token [redacted authorization]","x":1}`},
		"in JSON in JSON":     {`{\"Authorization\":\"Bearer ` + b64 + `\"}`, `{\"Authorization\":\"Bearer [redacted authorization]\"}`},
		"a signed request":    {"Authorization: AWS4-HMAC-SHA256 Credential=x, Signature=0123", "Authorization: AWS4-HMAC-SHA256 [redacted authorization]"},
		"without a scheme":    {"Authorization: " + b64, "Authorization: [redacted authorization]"},
		"bearer alone":        {"sent Bearer " + b64 + " to x", "sent Bearer [redacted authorization] to x"},
		"a header":            {"X-Api-Key: " + b64, "X-Api-Key: [redacted token-header]"},
		"password in a URL":   {"dial postgres://app:s3cr3t@db:5432/x?y", "dial postgres://app:[redacted url-password]@db:5432/x?y"},
		"without a user":      {"redis://:s3cr3t@cache", "redis://:[redacted url-password]@cache"},
		"token in a URL":      {"/cb?access_token=" + b64 + "&x=y", "/cb?access_token=[redacted url-token]&x=y"},
		"assigned password":   {"DB_PASSWORD=hunter2 DB=x", "DB_PASSWORD=[redacted password] DB=x"},
		"password in JSON":    {`{"password": "correct horse"}`, `{"password": "[redacted password]"}`},
		"connection string":   {"Server=x;Pwd=hunter2;Db=y", "Server=x;Pwd=[redacted password];Db=y"},
		"a generic secret":    {"API_KEY=" + b64 + " x", "API_KEY=[redacted secret] x"},
		"a registry's login":  {`{"auths":{"r.io":{"auth":"dXNlcjpodW50ZXIy"}}}`, `{"auths":{"r.io":{"auth":"[redacted registry-login]"}}}`},
		"a pull secret":       {"  .dockerconfigjson: eyJhdXRocyI6e30fX19", "  .dockerconfigjson: [redacted registry-login]"},
		"two in a line":       {"ghp_" + of(b64, 36) + " ghp_" + of(b64, 36), "[redacted github-token] [redacted github-token]"},
		"longer than it is":   {"ghp_" + of(b64, 99) + "_-" + b64, "[redacted github-token]"},
		"a private key": {
			"a\n" + key + "\nProc-Type: 4,ENCRYPTED\n\n" + b64 + "\r\n" + b64 + "==\n" + done + " b\nc\n",
			"a\n[redacted private-key]\n[redacted private-key]\n\n[redacted private-key]\r\n[redacted private-key]\n[redacted private-key] b\nc\n",
		},
		"a private key on one line":       {`"` + key + `\n` + b64 + `\n` + done + `\n"`, `"[redacted private-key]\n"`},
		"the start of one":                {`"` + key + `\n` + b64 + ` ..."`, `"[redacted private-key] ..."`},
		"a private key without an end":    {key + "\n" + b64 + "\nINFO done\n", "[redacted private-key]\n[redacted private-key]\nINFO done\n"},
		"a private key in a message":      {"found " + key + " in x\nword\n", "found [redacted private-key] in x\nword\n"},
		"a private key that is cut short": {key + "\n" + b64, "[redacted private-key]\n[redacted private-key]"},
	}
	set := builtin(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, counts := set.String(tc.text)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if counts.Total() < 1 || counts.Total() > 2 {
				t.Errorf("counts %v", counts)
			}
		})
	}
	for _, rule := range BuiltinRules() {
		covered := slices.ContainsFunc(slices.Collect(values(tests)), func(want string) bool { return strings.Contains(want, marker(rule)) })
		if !covered {
			t.Errorf("rule %s is not tested", rule)
		}
	}
}

func values(tests map[string]struct{ text, want string }) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, tc := range tests {
			if !yield(tc.want) {
				return
			}
		}
	}
}

// What ordinary logs are full of, and is no secret.
func TestBuiltinLeavesAlone(t *testing.T) {
	set := builtin(t)
	for _, text := range []string{
		"", "\n", "hello, world\n",
		"uid=3f2504e0-4f89-11d3-9a0c-0305e82c3301 trace=4bf92f3577b34da6a3ce929d0e0e4736",
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"commit 1b2e1d63ff2b6b1d5f8c2e4b9f3a7d6c5e4f3a2b", "s3://models/run-1/step-000042.pt",
		"GET https://example.com:8443/api?page=2 200", "postgres://app@db:5432/x", "git clone ssh://git@host/x.git",
		"mailto://a/b:c@d", "http://[::1]:8080/x@y", "12:30:01 user@host:/path",
		"password is wrong", "password: incorrect", "password=", "password=***", "password=$DB_PASSWORD", "password=<none>",
		`{"password": ""}`, `{"password":null}`, "--password=%s", "reset_password_url=x",
		"authorization: denied for user jane", "authorization failed", "Authorization: none", "Authorization: options.NewDelegatingAuthorizationOptions(),", "access_token=$(get-credentials)", "authorization=enabled",
		"bearer of good news", "bearer authentication-is-required", "token_count=123", "max_tokens: 4096", "tokens per second: 12.5",
		"eyJ is how it starts", "eyJhbGciOiJIUzI1NiJ9", "monkey-" + of("0123456789abcdef", 32) + "x", "key-value store",
		"npm_config_cache=/tmp npm_lifecycle_event", "SKAKIAABCD2345ABCD2345X", "AKIAIOSFODNN7", "ghp_short", "xghp_" + of(b64, 36),
		"-----BEGIN CERTIFICATE-----\n" + b64 + "\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----",
		"access_token=", "&sig=abc", "sk_live_short", "glpat-", "dapi documentation", "hf_hub_download", "SG.1 is down", "x-api-key: missing",
	} {
		if got, counts := set.String(text); got != text || counts.Total() != 0 {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestPatterns(t *testing.T) {
	tests := map[string]struct {
		pattern, text, want string
		count               int64
	}{
		"all of it":         {`ACME-\d{4}`, "x ACME-1234 ACME-123 ACME-9999\n", "x [redacted pattern-1] ACME-123 [redacted pattern-1]\n", 2},
		"its group":         {`pin[:=] ?(\d+)`, "pin: 1234, pin=5\n", "pin: [redacted pattern-1], pin=[redacted pattern-1]\n", 2},
		"a group not there": {`pin(x)?=`, "pin=1\n", "pin=1\n", 0},
		"no literal":        {`\d{3}-\d{2}`, "a 123-45\nb 12-345\n", "a [redacted pattern-1]\nb 12-345\n", 1},
		"any case":          {`(?i)secret \w+`, "SECRET word\n", "[redacted pattern-1]\n", 1},
		"a line by itself":  {`^code .*$`, "code x\ncodes\nxcode y\ncode z", "[redacted pattern-1]\ncodes\nxcode y\n[redacted pattern-1]", 2},
		"never two lines":   {`a\s+b`, "a\nb\na b\n", "a\nb\n[redacted pattern-1]\n", 1},
		"over a built-in":   {`user:\S+@`, "pg://user:word@host", "pg://[redacted pattern-1]host", 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, counts := builtin(t, tc.pattern).String(tc.text)
			if diff := cmp.Diff(tc.want, got); diff != "" || counts["pattern-1"] != tc.count {
				t.Errorf("%v (-want +got):\n%s", counts, diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(true, []string{`fine`, `(`, `a*`, `x(?=y)`, strings.Repeat("x", 2000)})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"(": must be a pattern in RE2 syntax`, `"a*": must not match the empty text`, `"x(?=y)": must be a pattern`, ": must have at most 1024 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "fine") {
		t.Error(err)
	}
}

func TestNeeded(t *testing.T) {
	for pattern, want := range map[string]string{
		`ACME-\d{4}`: "ACME-", `(?:token|key)=x`: "", `a(secret)+b`: "secret", `(?i)secret`: "", `\d+`: "",
		`x?longest.*word`: "longest", `ab`: "", `(`: "",
	} {
		if got := string(needed(pattern)); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	counts := Counts{"a": 1}
	counts.Add(Counts{"a": 2, "b": 3})
	counts.Add(nil)
	if diff := cmp.Diff(Counts{"a": 3, "b": 3}, counts); diff != "" || counts.Total() != 6 {
		t.Errorf("total %d (-want +got):\n%s", counts.Total(), diff)
	}
}

func TestNoRules(t *testing.T) {
	text := "password=hunter2"
	none, err := New(false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []*Set{nil, none} {
		var out bytes.Buffer
		w := set.Writer(&out)
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil || w.Close() != nil || out.String() != text {
			t.Errorf("%d, %v, %q", n, err, out.String())
		}
		if got, counts := set.String(text); got != text || counts.Total() != 0 {
			t.Errorf("%q, %v", got, counts)
		}
	}
}

// A line may be longer than what is looked at once, and a secret may be
// anywhere in it.
func TestLongLines(t *testing.T) {
	set := builtin(t, `PIN-\d{4}`)
	secret := "ghp_" + of(b64, 36)
	for _, at := range []int{0, 1, maxPiece - overlap - 40, maxPiece - overlap - 1, maxPiece - overlap, maxPiece - 20, maxPiece - 1, maxPiece, 3 * maxPiece} {
		for with, want := range map[string]string{secret: marker("github-token"), "PIN-1234": marker("pattern-1")} {
			before, after := strings.Repeat(".", at), strings.Repeat(".", 2*maxPiece)
			got, counts := set.String(before + with + after + "\n")
			if got != before+want+after+"\n" || counts.Total() != 1 {
				t.Errorf("at %d: %v, %d bytes", at, counts, len(got))
			}
		}
	}
	endless := "a password=" + strings.Repeat("x1", 3*maxPiece) + " b\n"
	if got, counts := set.String(endless); got != "a password=[redacted password] b\n" || counts.Total() != 1 {
		t.Errorf("%v: %d bytes", counts, len(got))
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func TestWriterFails(t *testing.T) {
	w := builtin(t).Writer(failing{})
	if _, err := w.Write([]byte("a\n")); err == nil {
		t.Error("no error")
	}
	if w.Close() == nil {
		t.Error("no error")
	}
}
