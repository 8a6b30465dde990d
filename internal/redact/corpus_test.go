package redact

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// update has TestSecretsCorpus write its file anew.
var update = flag.Bool("update", false, "write testdata/secrets.jsonl anew")

const (
	secretsFile  = "testdata/secrets.jsonl"
	innocentFile = "testdata/innocent.txt"
	// run is how many bytes of a secret may not stay together.
	run = 4
)

// leak is a text with a secret in it, as a program writes it.
type leak struct {
	// Context says what writes so.
	Context string `json:"context"`
	// Secret is as it stands in the text.
	Secret string `json:"secret"`
	Text   string `json:"text"`
}

const (
	signs = "!#$%()*+,-./:;=?@[]^_{|}~"
	safe  = "!#%*+-./:=?@^_~"
)

// secretOf returns letters, digits and, in half of the bytes, more. Its first
// byte is a letter and its last a digit, so that it is no path or placeholder.
func secretOf(pick func(n int) int, more string, length int) string {
	var b strings.Builder
	for i := range length {
		set := letters + digits
		if more != "" && pick(4) == 0 {
			set = more
		}
		switch i {
		case 0:
			set = letters
		case 1, length - 1:
			set = digits
		}
		b.WriteByte(set[pick(len(set))])
	}
	return b.String()
}

// quoted returns s within double quotes as JSON does.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func inner(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`) }

// context writes a secret; more are the signs that it may hold there.
type context struct {
	name, more string
	write      func(secret string) leak
}

// plain is a context that writes the secret as it is in place of %s.
func plain(name, more, format string) context {
	return context{name, more, func(s string) leak { return leak{name, s, strings.ReplaceAll(format, "%s", s)} }}
}

// escaped is a context that writes what escape makes of the secret.
func escaped(name, more, format string, escape func(string) string) context {
	return context{name, more, func(s string) leak {
		s = escape(s)
		return leak{name, s, strings.ReplaceAll(format, "%s", s)}
	}}
}

func inJSON(levels int) func(string) string {
	return func(s string) string {
		for range levels {
			s = inner(quoted(s))
		}
		return s
	}
}

func replacing(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

func contexts() []context {
	all := signs + `"'\` + " "
	return []context{
		plain("env dump", safe, "HOME=/root\nDB_PASSWORD=%s\nPATH=/bin\n"),
		plain("shell, single quotes", signs+`"`+" ", "export PGPASSWORD='%s'\n"),
		escaped("shell, double quotes", all, "PASSWORD=\"%s\" ./run --all\n", replacing(`\`, `\\`, `"`, `\"`, "$", `\$`)),
		plain("set -x, a quoted word", signs+`"`+" ", "+ export 'PGPASSWORD=%s'\n"),
		escaped("JSON", all, `{"user":"app","password":"%s","port":5432}`+"\n", inJSON(1)),
		escaped("JSON, spaced", all, `{ "dbPassword" : "%s", "x": 1 }`+"\n", inJSON(1)),
		escaped("JSON in JSON", all, `{"log":"{\"user\":\"app\",\"password\":\"%s\"}\n","stream":"stdout"}`+"\n", inJSON(2)),
		escaped("JSON in JSON in JSON", all, `{"a":"{\"b\":\"{\\\"password\\\":\\\"%s\\\"}\"}"}`+"\n", inJSON(3)),
		escaped("docker inspect", signs+`" `, `"Env": ["A=b", "DB_PASSWORD=%s", "C=d"],`+"\n", inJSON(1)),
		escaped("python dict", all, "config: {'user': 'app', 'password': '%s', 'n': 1}\n", replacing(`\`, `\\`, `'`, `\'`)),
		escaped("python call", all, "connect(user='app', password='%s', retry=True)\n", replacing(`\`, `\\`, `'`, `\'`)),
		plain("python bytes", signs, "password=b'%s'\n"),
		plain("YAML", "!*+-./=?@^_~", "  db_password: %s\n  user: app\n"),
		escaped("YAML, double quotes", all, "  password: \"%s\"\n", replacing(`\`, `\\`, `"`, `\"`)),
		escaped("YAML, single quotes", signs+`"' `, "  password: '%s'\n", replacing(`'`, `''`)),
		plain("INI", safe, "[db]\npassword = %s\n"),
		plain("properties", safe, "spring.datasource.password=%s\n"),
		plain("TOML", signs+` '`, "password = \"%s\"\n"),
		plain("Ruby hash", signs+` `, `{:user=>"app", :password=>"%s"}`+"\n"),
		plain("PHP array", signs+` "`, "'password' => '%s',\n"),
		plain("Go struct", "!#$%*+-./?@^_~", "{User:app Password:%s Port:5432}\n"),
		escaped("Go struct, with names", all, `db.Config{User:"app", Password:"%s", Port:5432}`+"\n", inJSON(1)),
		plain("Java record", "!#$%*+-./?@^_~:", "Config[user=app, password=%s, port=5432]\n"),
		plain("Java toString", signs+`"`, "Config{user='app', password='%s', port=5432}\n"),
		escaped("logfmt", all, `level=info msg="connecting" password="%s" port=5432`+"\n", inJSON(1)),
		plain("flag with =", safe, "running tool --user app --password=%s --verbose\n"),
		plain("flag", safe, "running tool --user app --password %s --verbose\n"),
		plain("flag in quotes", signs+` "`, "running tool --db-password '%s' --verbose\n"),
		plain("connection string", "!#$%*+-./:?@^_~", "Server=db;User Id=app;Password=%s;Database=orders\n"),
		plain("libpq", safe, "dsn \"host=db user=app password=%s dbname=orders\"\n"),
		escaped("query", all, "GET /login?user=app&password=%s&next=home 200\n", url.QueryEscape),
		escaped("form", all, "body: password=%s\n", url.QueryEscape),
		escaped("XML", signs+` "'`, "<user>app</user><password>%s</password>\n", replacing("&", "&amp;", "<", "&lt;")),
		plain("URL", "!$%*+-.:;=@_~", "dial postgres://app:%s@db:5432/orders?sslmode=off\n"),
		escaped("URL, encoded", all, "amqp://app:%s@mq/ refused\n", url.PathEscape),
		plain("URL with a path in it", "/", "redis://:%s@cache:6379/0\n"),
		plain("URL in JSON", "!$%*+-.:;=@_~", `{"url":"postgres://app:%s@db/x","n":1}`+"\n"),
		plain("element", signs, "config[\"password\"] = \"%s\"\n"),
		plain("PowerShell", signs, "$env:DB_PASSWORD = \"%s\"\n"),
		plain("a number behind the name", safe, "PASSWORD2=%s\n"),
		plain("to be confirmed", "", "password=x&password_confirmation=%s&y=z\n"),
		plain("API key", "", "API_KEY=%s\n"), plain("API key in JSON", "", `{"apiKey":"%s"}`+"\n"),
		plain("secret in YAML", "", "clientSecret: %s\n"), plain("token", "", "DEPLOY_TOKEN=%s\n"),
		plain("header", "", "X-Api-Key: %s\n"), plain("bearer", "-._", "curl -H 'Authorization: Bearer %s' x\n"),
		escaped("basic", signs, "Authorization: Basic %s\n", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("app:" + s)) }),
		escaped("registry login", signs, `{"auths":{"r.io":{"auth":"%s"}}}`+"\n", func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte("app:" + s))
		}),
		escaped("pull secret", signs, "  .dockerconfigjson: %s\n", func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte(`{"auths":{"r.io":{"username":"app","password":"` + s + `"}}}`))
		}),
	}
}

// keyContexts write private keys, whose lines are body.
func keyContexts(body []string) []leak {
	block := append(append([]string{key}, body...), done)
	prefixed := func(format func(i int) string) string {
		var b strings.Builder
		for i, line := range block {
			b.WriteString(format(i) + line + "\n")
		}
		return b.String()
	}
	var leaks []leak
	for name, text := range map[string]string{
		"key":               strings.Join(block, "\n") + "\n",
		"key, CRLF":         strings.Join(block, "\r\n") + "\r\n",
		"key, indented":     prefixed(func(int) string { return "    " }),
		"key, time stamps":  prefixed(func(i int) string { return fmt.Sprintf("2026-11-29T10:00:0%d.%dZ INFO ", i%10, 7*i) }),
		"key, compose":      prefixed(func(int) string { return "app-1  | " }),
		"key, klog":         prefixed(func(i int) string { return fmt.Sprintf("I1129 10:00:00.%06d       1 main.go:%d] ", 11*i, 90+i) }),
		"key, quoted reply": prefixed(func(int) string { return "> " }),
		"key in JSON":       `{"key":` + quoted(strings.Join(block, "\n")+"\n") + "}\n",
		"key in env":        "TLS_KEY=" + strings.Join(block, `\n`) + "\n",
	} {
		for _, line := range body {
			leaks = append(leaks, leak{name, line, text})
		}
	}
	return leaks
}

func keyBody(pick func(n int) int) []string {
	var body []string
	for range 3 {
		body = append(body, secretOf(pick, "+/", 64))
	}
	return append(body, secretOf(pick, "+/", 22)+"==")
}

// survivor returns bytes of the secret that stay together in got, "" if there are
// none but those that the text has elsewhere.
func survivor(set *Set, l leak) (got, stays string) {
	got, _ = set.String(l.Text)
	elsewhere := strings.ReplaceAll(l.Text, l.Secret, "\n")
	rest := got
	for _, rule := range BuiltinRules() {
		rest = strings.ReplaceAll(rest, marker(rule), "\n")
	}
	for i := 0; i+run <= len(l.Secret); i++ {
		if part := l.Secret[i : i+run]; strings.Contains(rest, part) && !strings.Contains(elsewhere, part) {
			return got, part
		}
	}
	return got, ""
}

// Secrets of the corpus do not survive, in any context.
func TestSecretsCorpus(t *testing.T) {
	if *update {
		writeSecrets(t)
	}
	set := builtin(t)
	leaks := readSecrets(t)
	if len(leaks) < 1000 {
		t.Errorf("%d secrets", len(leaks))
	}
	for _, l := range leaks {
		if got, stays := survivor(set, l); stays != "" {
			t.Errorf("%s: %q stays of %q: %q became %q", l.Context, stays, l.Secret, l.Text, got)
		}
	}
}

func writeSecrets(t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(20, 26))
	var b bytes.Buffer
	write := func(l leak) {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	for _, c := range contexts() {
		for range 25 {
			write(c.write(secretOf(r.IntN, c.more, 16+r.IntN(24))))
		}
	}
	for range 3 {
		for _, l := range keyContexts(keyBody(r.IntN)) {
			write(l)
		}
	}
	if err := os.WriteFile(secretsFile, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readSecrets(t testing.TB) []leak {
	t.Helper()
	var leaks []leak
	for _, line := range readLines(t, secretsFile) {
		var l leak
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		leaks = append(leaks, l)
	}
	return leaks
}

func readLines(t testing.TB, name string) []string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// Nor do other secrets in the same contexts.
func TestSecretsDoNotSurvive(t *testing.T) {
	set := builtin(t)
	all := contexts()
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
		c := rapid.SampledFrom(all).Draw(t, "context")
		l := c.write(secretOf(pick, c.more, rapid.IntRange(12, 40).Draw(t, "length")))
		if got, stays := survivor(set, l); stays != "" {
			t.Fatalf("%s: %q stays of %q: %q became %q", l.Context, stays, l.Secret, l.Text, got)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
		for _, l := range keyContexts(keyBody(pick)) {
			if got, stays := survivor(set, l); stays != "" {
				t.Fatalf("%s: %q stays: %q", l.Context, stays, got)
			}
		}
	})
}

// Ordinary output stays as it is, to the byte.
func TestInnocentCorpus(t *testing.T) {
	set := builtin(t)
	lines := readLines(t, innocentFile)
	if len(lines) < 2000 {
		t.Errorf("%d lines", len(lines))
	}
	for i, line := range lines {
		if got, _ := set.String(line + "\n"); got != line+"\n" {
			t.Errorf("%s:%d: %q became %q", innocentFile, i+1, line, got)
		}
	}
}

// BenchmarkCorpora prints how many secrets are found, how much of what is replaced
// was one, and how fast.
func BenchmarkCorpora(b *testing.B) {
	set := builtin(b)
	leaks, lines := readSecrets(b), readLines(b, innocentFile)
	found, spoiled := 0, 0
	var text bytes.Buffer
	for _, l := range leaks {
		if _, stays := survivor(set, l); stays == "" {
			found++
		}
		text.WriteString(l.Text)
	}
	for _, line := range lines {
		if got, _ := set.String(line); got != line {
			spoiled++
		}
		text.WriteString(line + "\n")
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		w := set.Writer(discard{})
		_, _ = w.Write(text.Bytes())
		_ = w.Close()
	}
	b.ReportMetric(100*float64(found)/float64(len(leaks)), "%recall")
	b.ReportMetric(100*float64(found)/float64(found+spoiled), "%precision")
	b.ReportMetric(0, strconv.Itoa(len(leaks))+"-secrets")
}
