package harness

import (
	"fmt"
	"time"
)

// Sizes are how much a run does.
type Sizes struct {
	// Drain is how many finished Jobs wait in the main scenarios, Other in those
	// that differ in one thing, Hang where some logs never come.
	Drain, Other, Hang int
	// Calibrate is how many Jobs the bare client handles at each concurrency.
	Calibrate int
	// OpenSeconds is how long Jobs finish at each rate.
	OpenSeconds int
	// OptedIn is how many Jobs run that are opted in, NotOptedIn how many that
	// are not.
	OptedIn, NotOptedIn int
	// Noisy is how many Jobs with large logs another namespace's neighbour has.
	Noisy int
	// Creations is how many Jobs are created with and without the webhook.
	Creations int
	// Contest is how long each of the contestants has.
	Contest time.Duration
	// Recheck is how often running Jobs are looked at again where nothing changes.
	Recheck time.Duration
	// Scenarios are the ones in which the size tells; empty: all.
	Scenarios []string
}

// The sizes that there are.
var (
	// Tiny is to see that everything works.
	Tiny = Sizes{
		Drain: 20, Other: 20, Hang: 20, Calibrate: 20, OpenSeconds: 1, OptedIn: 20, NotOptedIn: 20,
		Noisy: 4, Creations: 20, Contest: 2 * time.Second, Recheck: time.Second,
	}
	// Small takes less than five minutes on two cores.
	Small = Sizes{
		Drain: 2000, Other: 800, Hang: 500, Calibrate: 400, OpenSeconds: 6, OptedIn: 1000, NotOptedIn: 1500,
		Noisy: 60, Creations: 300, Contest: 10 * time.Second, Recheck: 2 * time.Second,
	}
	// Large has ten thousand Jobs finish at once, and Huge fifty thousand wait: more
	// than that would tell nothing new elsewhere.
	Large = Sizes{
		Drain: 10_000, Other: 4000, Hang: 2000, Calibrate: 2000, OpenSeconds: 20, OptedIn: 10_000, NotOptedIn: 20_000,
		Noisy: 300, Creations: 1000, Contest: 20 * time.Second, Recheck: 10 * time.Second,
	}
	Huge = Sizes{
		Drain: 50_000, Other: 4000, Hang: 2000, Calibrate: 2000, OpenSeconds: 20, OptedIn: 50_000, NotOptedIn: 100_000,
		Noisy: 300, Creations: 1000, Contest: 20 * time.Second, Recheck: 30 * time.Second,
		Scenarios: []string{"drain", "idle", "not-opted-in"},
	}
)

const (
	kib = 1 << 10
	mib = 1 << 20
	// largeLogs is how many Jobs with logs of 10 MiB finish at once.
	largeLogs = 64
	// slow is what a slow kubelet takes to answer.
	slow = 200 * time.Millisecond
)

var small = Logs{Bytes: 2 * kib}

// entries returns the scenarios in the order in which they run.
func (s Sizes) entries() []entry {
	const ceiling, ceiling64, ceilingGC = "calibrate", "calibrate-64k", "calibrate-gc"
	entries := []entry{
		{name: ceiling, scenario: calibration{ceiling, "a bare client, 2 KiB logs", small, s.Calibrate}},
		{name: "drain", needs: ceiling, scenario: drain{
			name: "drain", title: "finished Jobs wait, 2 KiB logs", jobs: s.Drain, logs: small, ceiling: ceiling, profiled: true,
		}},
		{name: "drain-slow", needs: ceiling, scenario: drain{
			name: "drain-slow", title: "the same, a kubelet that takes 200 ms", jobs: s.Other,
			logs: Logs{Bytes: 2 * kib, Delay: slow}, ceiling: ceiling,
		}},
		{name: "drain-hang", needs: ceiling, scenario: drain{
			name: "drain-hang", title: "the same, one log in 20 never comes", jobs: s.Hang,
			logs: Logs{Bytes: 2 * kib, HangEvery: 20}, ceiling: ceiling,
		}},
		{name: ceiling64, scenario: calibration{ceiling64, "a bare client, 64 KiB logs", Logs{Bytes: 64 * kib}, s.Calibrate}},
		{name: "drain-64k", needs: ceiling64, scenario: drain{
			name: "drain-64k", title: "finished Jobs wait, 64 KiB logs", jobs: s.Other, logs: Logs{Bytes: 64 * kib}, ceiling: ceiling64,
		}},
	}
	for _, rate := range []int{5, 20, 50, 100} {
		name := fmt.Sprintf("open-%d", rate)
		entries = append(entries, entry{name: name, scenario: openLoop{
			name, fmt.Sprintf("%d Jobs a second finish", rate), rate, s.OpenSeconds, small,
		}})
	}
	return append(entries,
		entry{name: "webhook", scenario: webhook{s.Creations}},
		entry{name: "idle", scenario: idle{s.OptedIn, s.Recheck}},
		entry{name: "not-opted-in", scenario: notOptedIn{s.NotOptedIn}},
		entry{name: "large-logs", scenario: large{largeLogs, Logs{Bytes: 10 * mib}}},
		entry{name: "fair", scenario: fair{s.Noisy, Logs{Bytes: 10 * mib}}},
		entry{name: "plain", scenario: plain{s.Contest}},
		entry{name: "shell", scenario: shell{s.Contest}},
		entry{name: ceilingGC, kind: raisedLimits, scenario: calibration{
			ceilingGC, "a bare client, with controller manager", small, s.Calibrate,
		}},
		entry{name: "drain-gc", kind: raisedLimits, needs: ceilingGC, scenario: drain{
			name: "drain-gc", title: "with controller manager and garbage collection", jobs: s.Drain, logs: small, ceiling: ceilingGC,
		}},
		entry{name: "ttl-raised", kind: raisedLimits, scenario: ttl{
			"ttl-raised", "the TTL controller, client limits of 1000", s.Other, s.Contest,
		}},
		entry{name: "ttl", kind: defaultLimits, scenario: ttl{
			"ttl", "the TTL controller as it is by default", s.Hang, s.Contest,
		}},
	)
}
