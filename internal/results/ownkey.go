package results

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/api"
)

// maxKey is how long a key of an object's data can be.
const maxKey = 253

// ownKeys are the keys of the data that are not for the Job's own results.
var ownKeys = []string{
	api.DataJobName, api.DataStatus, api.DataCompletionTime, api.DataStartTime, api.DataDuration,
	api.DataReason, api.DataMessage, api.DataLogs, api.DataLogsGzip, api.DataContainers, api.DataJobJSON,
	api.DataParts, api.DataEvents,
}

// reserved reports whether a key is not for the Job's own results under their
// own names.
func reserved(key string) bool {
	return slices.Contains(ownKeys, key) || strings.HasPrefix(key, api.DataResultPrefix) ||
		strings.HasPrefix(key, api.ManagerName)
}

// ownKey returns the data key of a result of the Job's own: name itself, or,
// where that is reserved or not valid, api.DataResultPrefix and name with every
// byte other than letters, digits, dots and dashes as _ and two hexadecimal
// digits. Two names never have one key; that of a long name may be too long.
func ownKey(name string) (key string, renamed bool) {
	if !reserved(name) && len(validation.IsConfigMapKey(name)) == 0 {
		return name, false
	}
	var b strings.Builder
	b.WriteString(api.DataResultPrefix)
	for i := range len(name) {
		if c := name[i]; plainKeyByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String(), true
}

func plainKeyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-'
}
