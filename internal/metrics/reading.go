package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

const readPrefix = Prefix + "read_"

// The values of the label resource.
const (
	waitMemory = "memory"
	waitStream = "stream"
)

func readingDefinitions() []Definition { return []Definition{readStreams, readWaiting, readBytes} }

var (
	readStreams = Definition{
		Name: readPrefix + "streams", Kind: Gauge,
		Help: "Logs of finished Jobs that are being read, of --log-streams.",
	}
	readWaiting = Definition{
		Name: readPrefix + "waiting", Kind: Gauge,
		Help: "Jobs and logs that wait before logs of finished Jobs are read, by reason.",
		Labels: []Label{{Name: "resource", Values: []Value{
			{waitMemory, "Jobs that wait for memory for their logs."},
			{waitStream, "Logs that wait until one more may be read."},
		}}},
	}
	readBytes = Definition{
		Name: readPrefix + "bytes_total", Kind: Counter,
		Help: "Bytes of logs that the API server sent, followed logs and repeated reads included.",
	}
)

// Reading are the metrics of reading logs.
type Reading struct {
	streams, memory, stream prometheus.Gauge
	bytes                   prometheus.Counter
}

// NewReading registers the metrics. It fails if they are registered.
func NewReading(registry Registry) (*Reading, error) {
	m := making{registry: registry}
	waits := m.gauge(readWaiting)
	r := &Reading{
		streams: m.gauge(readStreams).WithLabelValues(), bytes: m.counter(readBytes).WithLabelValues(),
		memory: waits.WithLabelValues(waitMemory), stream: waits.WithLabelValues(waitStream),
	}
	return r, m.finish("reading logs")
}

// Reading adds to how many logs are being read.
func (r *Reading) Reading(more int) { r.streams.Add(float64(more)) }

// WaitingForStream adds to how many logs wait for their turn.
func (r *Reading) WaitingForStream(more int) { r.stream.Add(float64(more)) }

// WaitingForMemory adds to how many Jobs wait for memory.
func (r *Reading) WaitingForMemory(more int) { r.memory.Add(float64(more)) }

// Read counts bytes that came from the API server.
func (r *Reading) Read(bytes int) { r.bytes.Add(float64(bytes)) }
