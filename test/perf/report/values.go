package report

import (
	"fmt"
	"strconv"
)

// Value names what a scenario tells besides latencies.
type Value string

// The values.
const (
	Jobs          Value = "jobs"
	Rate          Value = "rate"
	RateDeviation Value = "rate-deviation"
	Share         Value = "share"
	Started       Value = "started"
	CPU           Value = "cpu"
	CPUAPIServer  Value = "cpu-apiserver"
	CPUEtcd       Value = "cpu-etcd"
	Requests      Value = "requests"
	Rejected      Value = "rejected"
	PeakRSS       Value = "peak-rss"
	RSS           Value = "rss"
	Heap          Value = "heap"
	AddedRSS      Value = "added-rss"
	AddedHeap     Value = "added-heap"
	AddedCPU      Value = "added-cpu"
	Writes        Value = "writes"
	BytesRate     Value = "bytes-rate"
	Added         Value = "added"
	HeapPerJob    Value = "heap-per-job"
	ResultsBytes  Value = "results-bytes"
	EventBytes    Value = "event-bytes"
	Concurrency   Value = "concurrency"
)

// value is how a Value is shown.
type value struct {
	Value

	title string
	show  func(float64) string
}

// values are all that are shown, in this order.
var values = []value{
	{Jobs, "Jobs", number(0)},
	{Rate, "Jobs/s", number(0)},
	{RateDeviation, "± Jobs/s", number(0)},
	{Share, "of the ceiling", percent},
	{Concurrency, "at a time", number(0)},
	{Started, "first stored", seconds},
	{CPU, "CPU/Job", millis},
	{CPUAPIServer, "kube-apiserver", millis},
	{CPUEtcd, "etcd", millis},
	{Requests, "requests/Job", number(2)},
	{Rejected, "rejected", number(0)},
	{RSS, "RSS", mebibytes},
	{PeakRSS, "peak RSS", mebibytes},
	{Heap, "heap", mebibytes},
	{AddedRSS, "added RSS", mebibytes},
	{AddedHeap, "added heap", mebibytes},
	{AddedCPU, "added CPU", millis},
	{HeapPerJob, "heap/Job", octets},
	{ResultsBytes, "results", octets},
	{EventBytes, "Event", octets},
	{Writes, "writes", number(0)},
	{BytesRate, "MiB/s", number(0)},
	{Added, "added to creation", seconds},
}

func number(digits int) func(float64) string {
	return func(v float64) string { return strconv.FormatFloat(v, 'f', digits, 64) }
}

func percent(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }

func millis(v float64) string { return fmt.Sprintf("%.2f ms", v) }

func octets(v float64) string { return fmt.Sprintf("%.0f B", v) }

func mebibytes(v float64) string { return fmt.Sprintf("%.1f MiB", v/(1<<20)) }

// seconds shows milliseconds where it is less than a second.
func seconds(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.3g ms", 1000*v)
	}
	return fmt.Sprintf("%.3g s", v)
}
