// Package names makes the names of results objects and shortens names to label
// values. Every function is pure and total: the same input gives the same output in
// every process, and every output is valid where it is used. It must not import a
// client.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	maxNameLength       = 253
	maxLabelValueLength = 63
	hashLength          = 8

	// Long Job names are cut so that the hash and the suffix fit.
	longestWholeJobName = 244
	cutJobNameTo        = 235
)

// Results returns the name of the results object of a Job named job:
// "<job>-results", at most 253 characters. A name of more than 244 characters
// is cut and gets 8 hexadecimal digits of its SHA-256, so that two long names
// with the same start stay apart.
func Results(job string) string {
	if len(job) <= longestWholeJobName {
		return job + api.ResultsSuffix
	}
	return cut(job, cutJobNameTo) + "-" + hash(job) + api.ResultsSuffix
}

// Candidates returns the names to try for the results of the run with this
// UID, in order: wish, wish with the first 8 characters of the UID, wish with
// the whole UID. Where a suffix does not fit into 253 characters the wish is
// cut and hashed.
func Candidates(wish string, uid types.UID) []string {
	short := string(uid)
	if len(short) > hashLength {
		short = short[:hashLength]
	}
	return []string{wish, withSuffix(wish, "-"+short), withSuffix(wish, "-"+string(uid))}
}

// Parts returns the names to try for part number of the results called results,
// in order: "<results>-part-<number>-<first 8 of its SHA-256>", and that with
// the start of the run's UID and with the whole of it. Where a suffix does not
// fit into 253 characters the name of the results is cut and hashed. The same
// content has the same name, another one another.
func Parts(results string, number int, sha256 string, uid types.UID) []string {
	suffix := fmt.Sprintf("-part-%d-%.*s", number, hashLength, sha256)
	return []string{
		withSuffix(results, suffix),
		withSuffix(results, fmt.Sprintf("%s-%.*s", suffix, hashLength, string(uid))),
		withSuffix(results, fmt.Sprintf("%s-%s", suffix, uid)),
	}
}

// Capture returns the name of object number, from 0, that keeps captured pods of
// the run with this UID of a Job named job: "<job>-capture-<UID>-<number>". Where
// that is more than 253 characters the name of the Job is cut and hashed. It is
// never the name of results that a user or the webhook may wish for.
func Capture(job string, uid types.UID, number int) string {
	return withSuffix(job, fmt.Sprintf("-capture-%s-%d", uid, number))
}

// LabelValue returns name as a label value: as it is up to 63 characters,
// else its first 54 characters, "-" and 8 hexadecimal digits of its SHA-256.
func LabelValue(name string) string {
	if len(name) <= maxLabelValueLength {
		return name
	}
	return name[:maxLabelValueLength-hashLength-1] + "-" + hash(name)
}

// Event returns the name of an Event about object, the same for the same
// parts: "<object>.<16 hexadecimal digits>", at most 253 characters.
func Event(object string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return withSuffix(object, "."+hex.EncodeToString(sum[:])[:2*hashLength])
}

func withSuffix(name, suffix string) string {
	if len(name)+len(suffix) <= maxNameLength {
		return name + suffix
	}
	return cut(name, maxNameLength-len(suffix)-hashLength-1) + "-" + hash(name) + suffix
}

// cut shortens name to at most length bytes. A dot at the end would start an
// empty or dashed DNS label, so it goes.
func cut(name string, length int) string {
	return strings.TrimRight(name[:length], ".-")
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:hashLength]
}
