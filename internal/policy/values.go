package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	// maxPropagatedLabels bounds the metadata of a results object.
	maxPropagatedLabels = 64
	// maxListBytes bounds the annotation that lists them, so that a cache can keep it.
	maxListBytes = 4 << 10
	// maxShown is how much of an invalid value a message repeats, in bytes.
	maxShown = 64
)

const (
	resultsNameRule = "must be a DNS-1123 subdomain of at most 253 characters that ends in " + api.ResultsSuffix
	ttlRule         = "must be whole seconds from 0 to 2147483647; Job Handler alone sets it"
	patternRule     = "must be a label key, or the start of one followed by *"
)

// LogModes are the valid log modes. Callers must not change it.
var LogModes = []string{api.LogModeStatus, api.LogModeFull, api.LogModeFollow}

// resultsKinds are the valid kinds of results objects.
var resultsKinds = []string{api.ResultsKindConfigMap, api.ResultsKindSecret}

// ValidatePropagatable returns what is wrong with pattern as an element of
// Defaults.PropagatableLabels.
func ValidatePropagatable(pattern string) error {
	start, open := strings.CutSuffix(pattern, "*")
	switch {
	case strings.Contains(start, "*"):
		return errors.New(patternRule)
	case open && start == "":
		return nil
	case open:
		// Any start of a valid key becomes one with a letter appended.
		start += "x"
	}
	if len(validation.IsQualifiedName(start)) > 0 {
		return errors.New(patternRule)
	}
	return nil
}

func parseLogMode(path *field.Path, value string) (string, field.ErrorList) {
	return oneOf(path, value, LogModes)
}

func parseResultsKind(path *field.Path, value string) (string, field.ErrorList) {
	return oneOf(path, value, resultsKinds)
}

func oneOf(path *field.Path, value string, allowed []string) (string, field.ErrorList) {
	if slices.Contains(allowed, value) {
		return value, nil
	}
	return "", field.ErrorList{field.NotSupported(path, shown(value), allowed)}
}

func parseDelay(path *field.Path, value string) (Delay, field.ErrorList) {
	delay, err := ParseDelay(value)
	if err != nil {
		return Delay{}, invalid(path, value, err.Error())
	}
	return delay, nil
}

func parseTTL(path *field.Path, value string) (int32, field.ErrorList) {
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil || seconds < 0 || len(value) > maxKeptValue {
		return 0, invalid(path, value, ttlRule)
	}
	return int32(seconds), nil
}

// parseResultsName needs no check for the bare suffix: with its dash in front
// it is not a DNS name.
func parseResultsName(path *field.Path, value string) (string, field.ErrorList) {
	if !strings.HasSuffix(value, api.ResultsSuffix) || len(validation.IsDNS1123Subdomain(value)) > 0 {
		return "", invalid(path, value, resultsNameRule)
	}
	return value, nil
}

// parsePropagateLabels returns the parser of a comma-separated list of label
// keys. An empty list is valid: it takes the Namespace's default away.
func parsePropagateLabels(allowed []string) func(*field.Path, string) ([]string, field.ErrorList) {
	return func(path *field.Path, value string) ([]string, field.ErrorList) {
		if len(value) > maxListBytes {
			return nil, invalid(path, value, fmt.Sprintf("must have at most %d bytes", maxListBytes))
		}
		var keys []string
		var errs field.ErrorList
		for item := range strings.SplitSeq(value, ",") {
			key := strings.TrimSpace(item)
			if key == "" && strings.TrimSpace(value) == "" || slices.Contains(keys, key) {
				continue
			}
			if len(keys) == maxPropagatedLabels {
				return nil, invalid(path, value, fmt.Sprintf("must list at most %d label keys", maxPropagatedLabels))
			}
			keys = append(keys, key)
			if rule := propagationRule(key, allowed); rule != "" {
				errs = append(errs, invalid(path, key, rule)...)
			}
		}
		return keys, errs
	}
}

// propagationRule returns the rule that key breaks, or "".
func propagationRule(key string, allowed []string) string {
	switch {
	case len(validation.IsQualifiedName(key)) > 0:
		return "must be a comma-separated list of label keys"
	case key == api.JobNameLabel || strings.HasPrefix(key, api.Prefix):
		return "labels that Job Handler sets itself cannot be propagated"
	case len(allowed) == 0:
		return "no label may be propagated here (--propagatable-labels is empty)"
	case !propagatable(key, allowed):
		return "may not be propagated here; allowed are " + shown(strings.Join(allowed, ", "))
	default:
		return ""
	}
}

func propagatable(key string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		start, open := strings.CutSuffix(pattern, "*")
		return key == pattern || open && strings.HasPrefix(key, start)
	})
}

func invalid(path *field.Path, value, rule string) field.ErrorList {
	return field.ErrorList{field.Invalid(path, shown(value), rule)}
}

// shown returns value as a message repeats it: annotations may hold 256 KiB.
func shown(value string) string {
	if len(value) <= maxShown {
		return value
	}
	return strings.ToValidUTF8(value[:maxShown], "") + "..."
}
