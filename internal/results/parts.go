package results

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
)

const (
	// mostParts is how many parts there can be.
	mostParts = api.MostResultsBytes / api.MaxResultsBytes
	// partsListing is more than what the list of parts takes in the object that has
	// it: a name has at most 253 bytes, a digest 64.
	partsListing = 512 * (mostParts + 1)
)

// Part is a piece of a value that is too large for one object.
type Part struct {
	// Number counts the parts of a value from 0.
	Number int
	Bytes  []byte
	// SHA256 is over Bytes, in hexadecimal.
	SHA256 string
}

// PartList is the content of api.DataParts: where a value is that is too large
// for the object.
type PartList struct {
	// Key is the key of the binary data that the value would have.
	Key string `json:"key"`
	// Bytes is the size of the value, SHA256 is over it, in hexadecimal.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Parts are its pieces, the first first.
	Parts []PartRecord `json:"parts"`
}

// PartRecord is a piece of a value.
type PartRecord struct {
	// Name is that of the object that holds it, which is of the same kind.
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// setLogs puts logs into the object, and logs.gz, if there is one, there or into
// parts.
func (c *Content) setLogs(logs packedLogs) {
	c.Data[api.DataLogs] = logs.text
	switch {
	case logs.gzip == nil:
	case !logs.parts:
		c.BinaryData = map[string][]byte{api.DataLogsGzip: logs.gzip}
	default:
		for at := 0; at < len(logs.gzip); at += api.MaxResultsBytes {
			piece := logs.gzip[at:min(len(logs.gzip), at+api.MaxResultsBytes)]
			c.Parts = append(c.Parts, Part{Number: len(c.Parts), Bytes: piece, SHA256: hexSHA256(piece)})
		}
	}
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ListParts lists the parts, which are stored under these names, in the object.
// It may be called again with other names.
func (c *Content) ListParts(names []string) error {
	list := PartList{Key: api.DataLogsGzip}
	whole := sha256.New()
	for i, p := range c.Parts {
		// A hash never fails.
		_, _ = whole.Write(p.Bytes)
		list.Bytes += int64(len(p.Bytes))
		list.Parts = append(list.Parts, p.Record(names[i]))
	}
	list.SHA256 = hex.EncodeToString(whole.Sum(nil))
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the list of parts: %w", err)
	}
	c.Data[api.DataParts] = string(text) + "\n"
	c.seal()
	return nil
}

// PartContent returns what the object that holds the part is to hold. of is the
// name of the results object.
func (c *Content) PartContent(p Part, of string) *Content {
	part := &Content{
		BinaryData: map[string][]byte{api.DataLogsGzip: p.Bytes},
		Labels:     maps.Clone(c.Labels),
		Annotations: map[string]string{
			api.CreatedAtAnnotation: c.Annotations[api.CreatedAtAnnotation], api.PartOfAnnotation: of,
		},
	}
	part.Labels[api.PartLabel] = strconv.Itoa(p.Number)
	part.seal()
	return part
}

// Record returns what tells of the part in api.DataParts where it is stored under
// name.
func (p Part) Record(name string) PartRecord {
	return PartRecord{Name: name, Bytes: int64(len(p.Bytes)), SHA256: p.SHA256}
}

// Parts returns the list of parts of a results object, which is empty if it has none.
// The error wraps ErrDamaged.
func (o *Object) Parts() (*PartList, error) {
	text, there := o.Data[api.DataParts]
	if !there {
		return &PartList{}, nil
	}
	var list PartList
	if err := boundedjson.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", ErrDamaged, api.DataParts, err)
	}
	if list.Key != api.DataLogsGzip || len(list.Parts) == 0 || len(list.Parts) > mostParts {
		return nil, fmt.Errorf("%w: %s lists %d parts of %q", ErrDamaged, api.DataParts, len(list.Parts), list.Key)
	}
	for _, part := range list.Parts {
		if len(validation.IsDNS1123Subdomain(part.Name)) > 0 {
			return nil, fmt.Errorf("%w: %s lists a part called %q", ErrDamaged, api.DataParts, part.Name)
		}
	}
	return &list, nil
}

// Check returns nil if b is the piece that the record is of. The error wraps
// ErrDamaged.
func (r PartRecord) Check(b []byte) error {
	if got := hexSHA256(b); int64(len(b)) != r.Bytes || got != r.SHA256 {
		return fmt.Errorf("%w: %s has %d bytes with SHA-256 %s, not %d with %s",
			ErrDamaged, r.Name, len(b), got, r.Bytes, r.SHA256)
	}
	return nil
}
